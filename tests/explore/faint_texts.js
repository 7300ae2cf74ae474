// Texts whose colour and ground differ by less than WCAG's 4.5 to 1, among those that are seen and not disabled.
() => {
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (part) => {
    for (let at = part; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0.85) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const part of document.querySelectorAll("h1, h2, h3, p, label, span, b, td, th, button, output, legend, select, small, figcaption")) {
    const own = [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !part.checkVisibility() || part.closest(":disabled, .hidden, label:has(:disabled), .skip")) continue;
    const [a, b] = [light(numbers(getComputedStyle(part).color)), light(ground(part))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${part.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}
