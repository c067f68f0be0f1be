// The contrast of texts that axe leaves undecided (it gives up on SVG, on single characters and
// where boxes overlap): every one that is too low, or whose paper can't be told.
const [targets] = arguments;
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// Any colour that CSS can write, as red, green, blue and alpha.
const rgba = (css) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = css;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
};
const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]));
const light = (colour) => {
  const [red, green, blue] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (a, b) => {
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};

// What lies under a text: the backgrounds of all around it, down to the page.
const paper = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.backgroundImage !== "none" || Number(style.opacity) < 1) return null;
    layers.push(rgba(style.backgroundColor));
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
};

const wrong = [];
for (const target of targets) {
  const element = document.querySelector(target);
  const below = element && paper(element);
  if (!below) {
    wrong.push(`${target}: what lies under it can't be told`);
    continue;
  }
  const style = getComputedStyle(element);
  const chart = element.closest("svg.chart");
  const ink = rgba(chart ? style.fill : style.color);
  // A number in a chart may stand on its band too.
  const papers = [below];
  for (const band of chart ? chart.querySelectorAll(".band") : []) {
    const shade = getComputedStyle(band);
    const [red, green, blue, alpha] = rgba(shade.fill);
    const share = alpha * Number(shade.fillOpacity) * Number(shade.opacity);
    papers.push(over([red, green, blue, share], below));
  }
  for (const each of papers) {
    const found = contrast(over(ink, each), each);
    if (found < 4.5) wrong.push(`${target}: ${element.textContent.trim()}: contrast ${found.toFixed(2)}`);
  }
}
return wrong;
