// The sound of a player: every track runs on one audio clock behind its own gain.

const FADE = 0.003; // s, the crossfade of a switch: too short to hear, too long to click
const AHEAD = 0.02; // s, events are scheduled this far ahead, so that none comes too late

// All players of a page, and the one AudioContext they share.
const page = (window.sepPlayers ||= { list: [], context: null, rate: 0 });

// Frames of one origin, as a Colab notebook's outputs are, tell each other when one plays.
try {
  page.frames ||= new BroadcastChannel("sepPlayers");
  page.frames.onmessage = () => page.playing?.pause();
} catch {} // a browser that forbids it still plays

const amplitude = (db) => 10 ** (db / 20);

// Base64 of 16-bit PCM -> one Float32Array a channel, at the level of the original.
function decode({ pcm, peak }) {
  return pcm.map((text) => {
    const bytes = atob(text);
    const words = new Uint8Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) words[i] = bytes.charCodeAt(i);
    return Float32Array.from(new Int16Array(words.buffer), (word) => (word / 32767) * peak);
  });
}

// Samples [from, to) as an AudioBuffer, faded at both ends: no click where a loop closes.
function excerpt(channels, rate, from, to) {
  const length = to - from;
  const edge = Math.min(Math.ceil(FADE * rate), length >> 1);
  const buffer = new AudioBuffer({ length, sampleRate: rate, numberOfChannels: channels.length });
  channels.forEach((channel, c) => {
    const part = channel.slice(from, to);
    for (let i = 0; i < edge; i++) {
      part[i] *= i / edge;
      part[length - 1 - i] *= i / edge;
    }
    buffer.copyToChannel(part, c);
  });
  return buffer;
}

// The shared context runs at the tracks' own rate, so that the browser's good resampler is the
// only one. Call it from a user's gesture: earlier ones are not allowed to sound.
function sharedContext(rate) {
  if (page.rate !== rate) {
    const old = page.context;
    if (old) setTimeout(() => old.close(), 1000 * (AHEAD + 10 * FADE)); // its fade-out first
    page.context = new AudioContext({ sampleRate: rate });
    page.rate = rate;
  }
  page.context.resume();
  return page.context;
}

// fade(target, time) ramps a gain from wherever it will be at that time, even inside a ramp.
function fader(param, start) {
  let [from, to, since] = [start, start, -FADE];
  return (target, time) => {
    const now = from + (to - from) * Math.min(1, Math.max(0, (time - since) / FADE));
    param.cancelScheduledValues(time);
    param.linearRampToValueAtTime(now, time);
    param.linearRampToValueAtTime(target, time + FADE);
    [from, to, since] = [now, target, time];
  };
}

// Starts all tracks at one instant: buffers [track], gains [track], offset in s.
function startVoices(context, buffers, gains, offset, loop) {
  const soon = () => context.currentTime + AHEAD;
  const start = soon();
  const out = new GainNode(context, { gain: 0 });
  const master = fader(out.gain, 0);
  out.connect(context.destination);
  const sources = buffers.map((buffer) => new AudioBufferSourceNode(context, { buffer, loop }));
  const fades = sources.map((source, i) => {
    const node = new GainNode(context, { gain: gains[i] });
    source.connect(node).connect(out);
    source.start(start, offset);
    return fader(node.gain, gains[i]);
  });
  sources[0].onended = () => out.disconnect();
  master(1, start);
  return {
    elapsed: () => Math.max(0, context.currentTime - start - (context.outputLatency || 0)),
    mix(levels) {
      const time = soon();
      fades.forEach((fade, i) => fade(levels[i], time));
    },
    stop() {
      const time = soon();
      master(0, time);
      sources.forEach((source) => source.stop(time + FADE));
    },
  };
}

// What plays, where, and which track of it is heard; calls `changed` after every change.
class Transport {
  constructor(spec, changed) {
    this.duration = spec.samples / spec.rate;
    this.bounds = [0, this.duration]; // s, of the passage that plays and loops
    Object.assign(this, { spec, changed, voices: null, at: 0 });
    Object.assign(this, { heard: 0, matched: true, loop: false });
  }
  get channels() {
    return (this.decoded ||= this.spec.tracks.map(decode));
  }
  get buffers() {
    const [from, to] = this.bounds.map((seconds) => Math.round(seconds * this.spec.rate));
    if (this.cut !== `${from}-${to}`) {
      this.cut = `${from}-${to}`;
      this.excerpts = this.channels.map((track) => excerpt(track, this.spec.rate, from, to));
    }
    return this.excerpts;
  }
  gain(track) {
    return this.matched ? this.spec.tracks[track].gain : this.spec.plain; // dB
  }
  get levels() {
    return this.spec.tracks.map((_, i) => (i === this.heard ? amplitude(this.gain(i)) : 0));
  }
  get position() {
    if (!this.voices) return this.at;
    const [from, to] = this.bounds;
    const time = this.at + this.voices.elapsed();
    return this.loop ? from + ((time - from) % (to - from)) : Math.min(time, to);
  }
  play(at = this.position) {
    const [from, to] = this.bounds;
    const { rate } = this.spec;
    this.at = at >= from && at < to - FADE ? Math.round(at * rate) / rate : from;
    if (page.playing !== this) page.playing?.pause();
    page.playing = this;
    page.frames?.postMessage("");
    const context = sharedContext(rate);
    this.voices?.stop();
    this.voices = startVoices(context, this.buffers, this.levels, this.at - from, this.loop);
    this.changed();
  }
  pause(at = this.position) {
    this.at = at;
    this.voices?.stop();
    this.voices = null;
    this.changed();
  }
  seek(at) {
    at = Math.min(this.duration, Math.max(0, at));
    if (at < this.bounds[0] || at > this.bounds[1]) this.bounds = [0, this.duration];
    this.voices ? this.play(at) : this.pause(at);
  }
  repeat(loop, bounds = this.bounds) {
    const at = this.position;
    Object.assign(this, { loop, bounds });
    this.voices ? this.play(at) : this.changed();
  }
  hear(track, matched = this.matched) {
    Object.assign(this, { heard: track, matched });
    this.voices?.mix(this.levels);
    this.changed();
  }
}
