/** Keyboard shortcuts: one letter each, never while somebody types or a dialog is open. */

/**
 * @param {Readonly<Record<string, readonly string[]>>} keys  letter → `data-ref` of the buttons
 *     it presses: the first that can be pressed
 * @param {AbortSignal} signal
 */
export function shortcuts(keys, signal) {
  document.addEventListener("keydown", (event) => press(event, keys), { signal });
}

/** @param {KeyboardEvent} event  @param {Readonly<Record<string, readonly string[]>>} keys */
function press(event, keys) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  const target = /** @type {Element} */ (event.target);
  if (target.closest("input, select, textarea, [contenteditable]")) return;
  if (document.querySelector("dialog:modal")) return;
  for (const name of keys[event.key.toLowerCase()] ?? []) {
    const button = document.querySelector(`[data-ref="${name}"]`);
    if (!(button instanceof HTMLButtonElement) || button.disabled) continue;
    if (button.getClientRects().length === 0) continue; // not on the screen now
    event.preventDefault();
    button.click();
    return;
  }
}
