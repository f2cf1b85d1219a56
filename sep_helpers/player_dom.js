// The elements of a player; they call back into it.

// h("button.round", {title: "Play"}, ...children) makes an element.
function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const space = /^(svg|path)$/.test(tag) ? "2000/svg" : "1999/xhtml";
  const element = document.createElementNS("http://www.w3.org/" + space, tag);
  element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "click") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const decibels = (db) =>
  `${db < -0.05 ? "−" : db > 0.05 ? "+" : ""}${Math.abs(db).toFixed(1)} dB`;

// Labels along an axis of at most `count` steps, the unit on the last, each at its place.
function axis(range, count, steps, unit, side) {
  const size = steps.find((step) => range / step <= count) || range;
  const last = Math.floor(range / size + 1e-6);
  return Array.from({ length: last + 1 }, (_, i) => {
    const text = +(i * size).toFixed(2) + (i === last ? " " + unit : "");
    return h("span", { style: `${side}:${(100 * i * size) / range}%` }, text);
  });
}

function trackRow(player, { name }, i, key = i < 9 ? i + 1 : "·") {
  const gain = h("span.gain");
  const button = h("button.track", { role: "radio", click: () => player.choose(i) },
    h("kbd", {}, key), h("span.name", { title: name }, name), gain);
  const chips = ["A", "B"].map((letter) => h("button.chip", {
    "aria-label": `Use ${name} as ${letter}`, click: () => player.pair(letter, i) }, letter));
  const wave = h("svg.wave", {
    viewBox: `0 -1 ${BARS} 2`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const canvas = h("canvas.spec", { role: "img", "aria-label": `Spectrogram of ${name}` });
  const plane = h("div.plane", {}, wave, canvas, h("i.passage"), h("i.cursor"));
  player.scrub(plane);
  const kilohertz = axis(player.spec.rate / 2000, 3, [0.5, 1, 2, 4, 5, 10], "kHz", "bottom");
  const element = h("div.row", {},
    h("div.side", {}, button, h("span.chips", {}, ...chips)),
    h("div.graph", {}, h("div.axis", { "aria-hidden": "true" }, ...kilohertz), plane));
  return { element, button, gain, chips, wave, canvas };
}

function pills(player) {
  const { sound } = player;
  const pill = (text, key, click) => h("button.pill", { click }, text, h("kbd", {}, key));
  return [
    pill("Loop", "L", () => sound.repeat(!sound.loop, [0, sound.duration])),
    pill("Match loudness", "M", () => sound.hear(sound.heard, !sound.matched)),
    pill("Blind test", "X", () => player.blind(!player.test)),
  ].slice(0, player.rows.length > 1 ? 3 : 1);
}

function ruler(player) {
  const { duration } = player.sound;
  const seconds = axis(duration, 8, [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10], "s", "left");
  const element = h("div.ruler", {
    role: "slider", tabindex: "0", "aria-label": "Position", "aria-valuemin": "0",
    "aria-valuemax": duration.toFixed(2) }, ...seconds, h("i.cursor"));
  player.scrub(element);
  return element;
}

function blindPanel(player) {
  const { listen, answers, score } = player;
  return h("div.blind", {},
    h("div.group", {}, h("span", {}, "Listen"), ...listen),
    h("div.group", {}, h("span", {}, "Answer"), ...answers), score);
}

function legend() {
  const colours = STOPS.map((stop) => "#" + stop).join();
  return h("span.legend", { title: "Below the loudest point of all spectrograms" },
    `−${RANGE}`, h("i", { style: `background:linear-gradient(90deg,${colours})` }), "0 dB");
}

// Makes player.wrap, which holds everything, and the parts that `refresh` writes to.
function buildPlayer(player) {
  const { spec, rows } = player;
  player.playButton = h("button.round", { click: () => player.toggle() }, h("i.icon"));
  player.clock = h("span.clock");
  player.pills = player.controls();
  player.listen = ["A", "B", "X"].map((letter) =>
    h("button.letter", { click: () => player.hear(letter) }, letter));
  player.answers = ["A", "B"].map((letter) =>
    h("button.answer", { click: () => player.answer(letter) }, `X is ${letter}`));
  player.score = h("p.score", { role: "status" });
  player.ruler = ruler(player);
  player.help = h("span.help");
  player.wrap = h("section.player",
    { tabindex: "0", "aria-label": spec.title || "Player", style: `--count:${rows.length}` },
    h("header", {}, player.playButton, h("div.heading", {}, h("b", {}, spec.title), player.clock,
      ...(player.extras || [])),
      h("div.pills", {}, ...player.pills)),
    blindPanel(player),
    h("div", player.group, ...rows.map((row) => row.element)),
    player.ruler,
    ...spec.notes.map((note) => h("p.note", {}, note)),
    h("footer", {}, player.help, legend()));
}
