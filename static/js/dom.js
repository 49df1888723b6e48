/** Small helpers over the document. Text goes in as text, never as markup. */

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} name  of `data-ref`
 * @param {ParentNode} [root]
 * @returns {T}
 */
export function ref(name, root = document) {
  const element = root.querySelector(`[data-ref="${name}"]`);
  if (!element) throw new Error(`the page has no ${name}`);
  return /** @type {T} */ (element);
}

/** @param {Element} element  @param {boolean} visible */
export function show(element, visible) {
  const hidden = !visible;
  if (element.hasAttribute("hidden") !== hidden) element.toggleAttribute("hidden", hidden);
}

/** Unchanged text is left alone, so that live regions do not repeat it.
 *  @param {Element} element  @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} button  @param {boolean} pressed */
export function setPressed(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}

/**
 * @param {string} name  a symbol of icons.svg
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{class?: string, text?: string, testid?: string}} [options]
 * @param {...Node} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  if (options.class) element.className = options.class;
  if (options.text !== undefined) element.textContent = options.text;
  if (options.testid) element.dataset.testid = options.testid;
  element.append(...children);
  return element;
}

/**
 * Show one of the page's sections and no other; move the focus there when it changed, so that a
 * keyboard or a screen reader goes on where the page does.
 * @param {string} phase  of `data-phase`, which may list several
 */
export function showPhase(phase) {
  let entered = null;
  for (const section of document.querySelectorAll("[data-phase]")) {
    const names = (section.getAttribute("data-phase") ?? "").split(" ");
    const visible = names.includes(phase);
    if (visible && section.hasAttribute("hidden") && section.matches("section")) entered = section;
    show(section, visible);
  }
  if (document.body.dataset.now === phase) return;
  const first = document.body.dataset.now === undefined;
  document.body.dataset.now = phase;
  const heading = entered?.querySelector("[tabindex='-1']");
  if (!first && heading instanceof HTMLElement) heading.focus({ preventScroll: true });
}

/** @param {"polite" | "assertive"} urgency  @param {string} text  read out when it changed */
export function announce(urgency, text) {
  setText(ref(`live-${urgency}`), text);
}
