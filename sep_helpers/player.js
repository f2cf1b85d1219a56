// What a player does: tracks and keys, pictures, the cursor, the blind test.
// player.py joins the files, this one last, and calls sepPlayer.

class Player {
  constructor(host, spec, css) {
    Object.assign(this, { host, spec, test: null, drag: null });
    this.make(spec);
    buildPlayer(this);
    this.wrap.addEventListener("keydown", (event) => this.key(event));
    // A click focuses the player and not the button: the space bar goes on playing.
    this.wrap.addEventListener("mousedown", (event) => {
      if (event.target.matches("input")) return;
      event.preventDefault();
      this.wrap.focus({ preventScroll: true });
    });
    host.attachShadow({ mode: "open" }).append(h("style", {}, css), this.wrap);
    this.refresh();
    this.drawWhenNear();
  }

  // What another kind of player has of its own: the sound, the rows, the pills.
  make(spec) {
    this.sound = new Transport(spec, () => this.refresh());
    this.rows = spec.tracks.map((track, i) => trackRow(this, track, i));
    this.group = { role: "radiogroup", "aria-label": "Track heard" };
  }
  controls() {
    return pills(this);
  }
  pressed() {
    return [this.sound.loop, this.sound.matched, !!this.test];
  }

  // On a page of many players, each decodes and draws as it comes into reach.
  drawWhenNear() {
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      this.draw();
    }, { rootMargin: "400px" });
    watcher.observe(this.host);
  }
  async draw() {
    for (const [i, row] of this.rows.entries()) {
      const [left, right = left] = this.sound.channels[i];
      const mono = left.map((value, n) => (value + right[n]) / 2);
      row.wave.append(...outlines(mono).map((d) => h("path", { d })));
      row.picture = spectrogram(mono, this.spec.rate);
      await new Promise((next) => setTimeout(next)); // the page stays awake between tracks
    }
    this.drawn = true;
    this.tint();
  }
  // Pictures at the levels that are heard, all tracks on one scale.
  tint() {
    const { rows, sound, spec } = this;
    this.tinted = sound.matched;
    const gains = rows.map((_, i) => sound.gain(i));
    const top = Math.max(...rows.map((row, i) => row.picture.top + gains[i]));
    const peaks = spec.tracks.map((track, i) => track.peak * amplitude(gains[i]));
    rows.forEach((row, i) => {
      row.wave.style.setProperty("--scale", amplitude(gains[i]) / Math.max(...peaks, 1e-9));
      paint(row.canvas, row.picture, gains[i], top);
    });
  }

  refresh() {
    const { sound, test, wrap } = this;
    wrap.classList.toggle("playing", !!sound.voices);
    wrap.classList.toggle("testing", !!test);
    this.playButton.setAttribute("aria-label", sound.voices ? "Pause" : "Play");
    this.pressed().forEach((on, i) =>
      on !== null && this.pills[i]?.setAttribute("aria-pressed", on));
    if (this.pills[1]) this.pills[1].disabled = !!test; // unmatched, loudness would give X away
    this.refreshRows();
    if (test) this.refreshTest();
    this.help.textContent = this.hints();
    if (this.drawn && this.tinted !== sound.matched) this.tint();
    this.show();
    if (sound.voices && !this.ticking) this.tick();
  }
  refreshRows() {
    const { sound, test, spec } = this;
    const lit = test ? (test.heard === "X" ? -1 : test[test.heard]) : sound.heard;
    this.rows.forEach(({ element, button, gain, chips }, i) => {
      element.classList.toggle("on", i === lit);
      button.setAttribute("aria-checked", i === lit);
      button.tabIndex = i === lit ? 0 : -1;
      button.disabled = !!test;
      gain.textContent = spec.tracks[i].silent ? "silent" : decibels(sound.gain(i));
      chips.forEach((chip) => chip.setAttribute("aria-pressed", test?.[chip.textContent] === i));
    });
  }
  refreshTest() {
    const { test } = this;
    this.listen.forEach((button) =>
      button.setAttribute("aria-pressed", button.textContent === test.heard));
    this.answers.forEach((button) => (button.disabled = !test.ready));
    this.score.replaceChildren(h("b", {}, test.verdict), " " + test.score);
  }
  hints() {
    if (this.test) return "A B X listen · Shift + A or B answers · Esc leaves";
    const count = this.rows.length;
    const digits = count > 1 ? `1–${Math.min(9, count)} or ↑ ↓ switch · ` : "";
    return `Space plays · ${digits}← → seek · Shift-drag loops a passage`;
  }

  // The cursor, the clock and the passage, from the audio clock or from the drag under way.
  show() {
    const { sound, drag, wrap } = this;
    const at = drag ? drag.to : sound.position;
    const passage = drag?.loop ? [drag.from, drag.to].sort((a, b) => a - b) : sound.bounds;
    ["--at", "--from", "--to"].forEach((name, i) =>
      wrap.style.setProperty(name, [at, ...passage][i] / sound.duration));
    wrap.classList.toggle("cut", passage[1] - passage[0] < sound.duration);
    this.clock.textContent = `${at.toFixed(1)} / ${sound.duration.toFixed(1)} s`;
    this.ruler.setAttribute("aria-valuenow", at.toFixed(2));
  }
  tick() {
    const { sound } = this;
    this.ticking = !!sound.voices;
    if (!this.ticking) return;
    if (!this.host.isConnected) sound.pause(); // its cell was run again or deleted
    else if (!sound.loop && sound.position >= sound.bounds[1]) sound.pause(sound.bounds[0]);
    this.show();
    requestAnimationFrame(() => this.tick());
  }

  // Click or drag seeks; with shift, a drag marks a passage that loops.
  scrub(plane) {
    const { sound } = this;
    const time = (event) => {
      const box = plane.getBoundingClientRect();
      return sound.duration * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    const on = (type, react) => plane.addEventListener(type, (event) => {
      if (!this.drag === (type !== "pointerdown") || event.button > 0) return;
      react(event);
      this.show();
    });
    on("pointerdown", (event) => {
      plane.setPointerCapture(event.pointerId);
      this.drag = { from: time(event), to: time(event), loop: event.shiftKey };
    });
    on("pointermove", (event) => (this.drag.to = time(event)));
    on("pointercancel", () => (this.drag = null));
    on("pointerup", () => {
      const { from, to, loop } = this.drag;
      this.drag = null;
      const passage = [Math.min(from, to), Math.max(from, to)];
      if (loop && passage[1] - passage[0] > 0.05) sound.repeat(true, passage);
      else sound.seek(to);
    });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
    event.stopPropagation(); // a notebook would cut the cell at "x"
    const onButton = event.target.closest("button:not(.track)");
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    if (event.target.matches("input") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    const action = this.action(event, event.key.length > 1 ? event.key : event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    action();
  }
  action(event, name) {
    return /^[1-9]$/.test(name) ? () => this.choose(name - 1) : this.keys(event)[name];
  }
  keys({ shiftKey }) {
    const { sound, test } = this;
    const hop = Math.min(1, sound.duration / 10);
    const letter = (name) => test && (shiftKey ? this.answer(name) : this.hear(name));
    return {
      " ": () => this.toggle(),
      ArrowLeft: () => sound.seek(sound.position - hop),
      ArrowRight: () => sound.seek(sound.position + hop),
      ArrowUp: () => this.choose(sound.heard - 1),
      ArrowDown: () => this.choose(sound.heard + 1),
      Home: () => sound.seek(0),
      l: () => this.pills[0].click(),
      m: () => this.pills[1]?.click(),
      x: () => (test ? this.hear("X") : this.blind(true)),
      a: () => letter("A"),
      b: () => letter("B"),
      Escape: () => (test ? this.blind(false) : sound.repeat(false, [0, sound.duration])),
    };
  }

  toggle() {
    if (this.sound.voices) this.sound.pause();
    else this.sound.play();
  }
  choose(track) {
    if (this.test || !this.rows[track]) return;
    this.sound.hear(track);
    const { activeElement } = this.host.shadowRoot;
    if (activeElement?.matches(".track")) this.rows[track].button.focus();
  }
  blind(on) {
    const { sound, test, rows } = this;
    if (rows.length < 2) return;
    this.test = on ? new BlindTest(sound.heard, (sound.heard + 1) % rows.length) : null;
    sound.hear(on ? this.test.A : test.A, on || sound.matched);
  }
  // Makes a track the A or the B of a new test; the two change places if it was the other.
  pair(letter, track) {
    const { A, B } = this.test;
    const [mine, other] = letter === "A" ? [A, B] : [B, A];
    const rest = other === track ? mine : other;
    this.test = letter === "A" ? new BlindTest(track, rest) : new BlindTest(rest, track);
    this.sound.hear(this.test.A);
  }
  hear(letter) {
    this.sound.hear(this.test.hear(letter));
    if (!this.sound.voices) this.sound.play();
  }
  answer(letter) {
    if (!this.test.ready) return;
    this.test.answer(letter);
    this.sound.hear(this.test.hear("A")); // staying on X would betray whether the coin turned
  }

  // For tests and for the curious: document.querySelector("[data-sep-player]").sepPlayer.state
  get state() {
    const { sound, test, drawn } = this;
    const { position, duration, heard, matched, loop, bounds } = sound;
    return { playing: !!sound.voices, position, duration, heard, matched, loop, bounds, drawn,
      test: test && { ...test, chance: test.chance } };
  }
}

// One player in every host of this id that has none yet: the same output may be shown twice.
function sepPlayer(spec, css, kind = Player) {
  for (const host of document.querySelectorAll(`[data-sep-player="${spec.id}"]`)) {
    if (host.shadowRoot) continue;
    host.dataset.lmSuppressShortcuts = true; // JupyterLab leaves the keys to us
    host.sepPlayer = new kind(host, spec, css);
    page.list = [...page.list.filter((player) => player.host.isConnected), host.sepPlayer];
  }
}
