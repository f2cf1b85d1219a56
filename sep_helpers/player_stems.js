// A player of stems: all sound together, each behind a fader, mute and solo of its own.
// Track 0 is the mixture they make; python leaves its samples out where they add up to it.

const FADER = [-30, 6]; // dB; the lowest position is silence

// A transport whose tracks are mixed as the strips say, or the mixture itself.
class Desk extends Transport {
  constructor(spec, changed) {
    super(spec, changed);
    Object.assign(this, { whole: false, matched: false });
    this.reset();
  }
  reset() {
    this.strips = this.spec.tracks.map(() => ({ level: 0, mute: false, solo: false }));
    this.whole = false;
  }
  get channels() {
    const tracks = super.channels;
    if (!tracks[0].length) {
      const [, ...stems] = tracks;
      const wide = Math.max(...stems.map((stem) => stem.length));
      tracks[0] = Array.from({ length: wide }, (_, c) => total(stems, c, stems.map(() => 1)));
    }
    return tracks;
  }
  gain() {
    return this.spec.plain; // dB: pictures stay as the song was mixed
  }
  audible(i) {
    const { mute, solo } = this.strips[i];
    const soloed = this.strips.some((strip) => strip.solo);
    return i > 0 && !this.whole && !mute && (!soloed || solo);
  }
  // The faders' amplitudes, 0 for what is not heard.
  get faders() {
    return this.strips.map(({ level }, i) =>
      this.audible(i) && level > FADER[0] ? amplitude(level) : 0);
  }
  // dB by which all is turned down, because what the faders make would clip.
  get down() {
    const faders = this.faders.slice(1);
    const key = faders.join();
    if (this.measured !== key) {
      const [, ...stems] = this.channels;
      const wide = faders.some((fader) => fader) ? Math.max(...stems.map((s) => s.length)) : 0;
      let peak = 0;
      for (let c = 0; c < wide; c++) {
        for (const value of total(stems, c, faders)) peak = Math.max(peak, Math.abs(value));
      }
      this.measured = key;
      this.turned = Math.max(0, 20 * Math.log10(peak || 1) + this.spec.plain);
    }
    return this.turned;
  }
  get levels() {
    const all = amplitude(this.spec.plain);
    if (this.whole) return this.strips.map((_, i) => (i ? 0 : all));
    const safe = all * amplitude(-this.down);
    return this.faders.map((fader) => fader * safe);
  }
  // Something of a strip is set anew, or `whole`; it is heard at once.
  set(change) {
    change(this);
    this.voices?.mix(this.levels);
    this.changed();
  }
}

// Channel c of the sum of stems, each times its factor; a mono stem sounds on both sides.
function total(stems, c, factors) {
  const sum = new Float32Array(stems[0][0].length);
  stems.forEach((stem, i) => {
    const wave = stem[c] || stem[0];
    if (factors[i]) for (let n = 0; n < sum.length; n++) sum[n] += factors[i] * wave[n];
  });
  return sum;
}

class StemPlayer extends Player {
  make(spec) {
    this.sound = new Desk(spec, () => this.refresh());
    this.rows = spec.tracks.map((track, i) => stemRow(this, track, i));
    this.group = { role: "group", "aria-label": "Mixture and stems" };
    this.safety = h("span.safety", { role: "status" });
    this.extras = [" ", this.safety];
  }
  controls() {
    const { sound, spec } = this;
    const pill = (text, key, click) => h("button.pill", { click }, text, h("kbd", {}, key));
    return [
      pill("Loop", "L", () => sound.repeat(!sound.loop, [0, sound.duration])),
      pill("Mixture itself", "0", () => this.choose(0)),
      pill("Reset", "R", () => sound.set((desk) => desk.reset())),
      ...(spec.karaoke ? [pill("Karaoke", "K", () => this.toggleStrip(spec.karaoke, "mute"))] : []),
    ];
  }
  pressed() {
    const { sound, spec } = this;
    const karaoke = spec.karaoke && sound.strips[spec.karaoke].mute && !sound.whole;
    return [sound.loop, sound.whole, null, !!karaoke];
  }
  refreshRows() {
    const { sound } = this;
    this.rows.forEach(({ element, button, gain, mute, solo, fader, wave }, i) => {
      const { level, ...strip } = sound.strips[i];
      const on = i ? sound.audible(i) : sound.whole;
      element.classList.toggle("on", on);
      element.classList.toggle("off", i > 0 && !on);
      button?.setAttribute("aria-pressed", on);
      if (!fader) return;
      mute.setAttribute("aria-pressed", strip.mute);
      solo.setAttribute("aria-pressed", strip.solo);
      const text = level > FADER[0] ? decibels(level) : "off";
      fader.value = level;
      fader.setAttribute("aria-valuetext", text);
      gain.textContent = this.spec.tracks[i].silent ? "silent" : text;
      wave.style.setProperty("--fader", level > FADER[0] ? amplitude(level) : 0);
    });
    const { down } = sound.voices || this.drawn ? sound : { down: 0 };
    this.safety.textContent =
      down > 0.05 && !sound.whole ? `· turned down by ${down.toFixed(1)} dB, or it would clip` : "";
  }
  hints() {
    const last = Math.min(9, this.rows.length - 1);
    return `Space plays · 1–${last} mute · Shift + 1–${last} solo · ← → seek · ` +
      "Shift-drag loops a passage";
  }
  // The mixture itself, or the desk again; a stem's number mutes it.
  choose(track) {
    if (track) this.toggleStrip(track, "mute");
    else this.sound.set((desk) => (desk.whole = !desk.whole));
  }
  toggleStrip(track, what) {
    if (!this.rows[track]) return;
    this.sound.set((desk) => {
      const strip = desk.strips[track];
      strip[what] = desk.whole || !strip[what];
      desk.whole = false;
    });
  }
  blind() {} // one stem is not another's rival
  action(event, name) {
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    if (digit !== undefined) {
      return () => (event.shiftKey && +digit ? this.toggleStrip(+digit, "solo")
        : this.choose(+digit));
    }
    const own = { r: 2, k: 3 }[name];
    if (own) return () => this.pills[own]?.click();
    return /^(Arrow(Left|Right)|Home|Escape|[ l])$/.test(name) ? this.keys(event)[name] : null;
  }
  get state() {
    const { sound } = this;
    return { ...super.state, whole: sound.whole, strips: sound.strips, levels: sound.levels };
  }
}

function stemRow(player, track, i) {
  const { name } = track;
  if (i === 0) {
    const row = trackRow(player, track, 0, "0");
    row.button.removeAttribute("role");
    return row;
  }
  const toggle = (letter, what, label) => h("button.chip", {
    "aria-label": `${label} ${name}`, title: `${label} ${name}`,
    click: () => player.toggleStrip(i, what) }, letter);
  const [mute, solo] = [toggle("M", "mute", "Mute"), toggle("S", "solo", "Solo")];
  const fader = h("input.fader", { type: "range", min: FADER[0], max: FADER[1], step: 0.5,
    "aria-label": `Level of ${name}` });
  fader.addEventListener("input", () =>
    player.sound.set((desk) => (desk.strips[i].level = +fader.value)));
  const gain = h("span.gain");
  const side = h("div.side", {},
    h("span.stem", {}, h("kbd", {}, i < 10 ? i : "·"), h("span.name", { title: name }, name), gain),
    h("span.strip", {}, mute, solo, fader));
  const row = trackRow(player, track, i);
  row.element.firstChild.replaceWith(side);
  return { ...row, button: null, gain, mute, solo, fader };
}
