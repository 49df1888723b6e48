// Texts that are too faint (WCAG 2.2, 1.4.3), and controls without a name (4.1.2), as the page is now.
() => {
  const rgb = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = rgb(getComputedStyle(at).backgroundColor);
      if (alpha === 1 && r !== undefined) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  for (const element of document.querySelectorAll("body *:not(svg, svg *, option, noscript)")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== "");
    if (!own || !shown(element) || element.closest(".sr-only, .skip, [disabled]")) continue;
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= 24;
    const seen = ratio(rgb(style.color), ground(element));
    if (seen < (large ? 3 : 4.5)) found.push(`${element.textContent.trim()}: ${seen.toFixed(2)}`);
  }
  for (const text of document.querySelectorAll(".timeline .span-label")) {
    const bar = text.parentElement.querySelector("rect");
    const fill = getComputedStyle(bar).fill;
    const under = fill.startsWith("rgb") ? rgb(fill) : ground(text.closest(".card"));
    const seen = ratio(rgb(getComputedStyle(text).fill), under);
    if (seen < 4.5) found.push(`bar ${text.textContent}: ${seen.toFixed(2)}`);
  }
  for (const control of document.querySelectorAll("button, a, input, select, [role=region], [role=img]")) {
    const label = control.labels?.[0]?.textContent ?? "";
    const by = control.getAttribute("aria-labelledby");
    const named = by ? document.getElementById(by)?.textContent : control.getAttribute("aria-label");
    const name = [label, named, control.textContent].find((text) => (text ?? "").trim() !== "");
    if (shown(control) && !name) found.push(`no name: ${control.outerHTML.slice(0, 80)}`);
  }
  return found;
};
