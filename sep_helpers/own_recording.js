// Records the microphone in the browser that shows the notebook: sepRecord(seconds) is a promise of
// a WAV file (16 bits, mono, the browser's own rate) as base64, or of "error: ..." in one line.
// The browser compresses while it records (opus) and decodes its own work, so no other program has
// to; echo cancelling and noise suppression are off, for they eat one of two voices.

async function sepRecord(seconds) {
  const asked = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
  if (!navigator.mediaDevices || !window.MediaRecorder)
    return "error: this browser gives no page a microphone here: use https or localhost";
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({audio: asked});
  } catch (fault) {
    return fault.name === "NotAllowedError"
      ? "error: the browser keeps the microphone: allow it for this page, then run the cell again"
      : `error: no microphone (${fault.name}): plug one in, then run the cell again`;
  }
  const line = sepRecordLine(seconds), context = new AudioContext();
  try {
    const recorder = new MediaRecorder(stream, {audioBitsPerSecond: 128000}), pieces = [];
    recorder.ondataavailable = (event) => pieces.push(event.data);
    const over = new Promise((done) => { recorder.onstop = done; });
    const stop = () => { if (recorder.state !== "inactive") recorder.stop(); };
    line.button.onclick = stop;
    recorder.start();
    const ticking = sepRecordTick(line, context, stream, seconds, stop);
    await over;
    clearInterval(ticking);
    line.text.textContent = "recorded";
    const sound = await context.decodeAudioData(await new Blob(pieces).arrayBuffer());
    return sepRecordWav(sound);
  } catch (fault) {
    return `error: the recording was lost (${fault.name || fault}): run the cell again`;
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    line.button.remove();
    line.level.remove();
    context.close();
  }
}

// A line with what is going on, how loud it is, and a button to stop.
function sepRecordLine(seconds) {
  const row = document.createElement("div");
  row.className = "sep-record";
  row.style.cssText = "display:flex;gap:12px;align-items:center;font:14px sans-serif;padding:6px";
  const text = document.createElement("span"), level = document.createElement("meter");
  const button = document.createElement("button");
  text.textContent = `recording, ${seconds} s`;
  Object.assign(level, {min: -60, max: 0, high: -3, optimum: -30, value: -60});
  level.setAttribute("aria-label", "level in dB");
  button.textContent = "Stop";
  row.append(text, level, button);
  document.body.append(row);
  return {text, level, button};
}

// Ten times a second: the time, the level, and the end.
function sepRecordTick(line, context, stream, seconds, stop) {
  const ear = context.createAnalyser(), wave = new Float32Array(ear.fftSize);
  context.createMediaStreamSource(stream).connect(ear);
  const began = performance.now();
  return setInterval(() => {
    const past = (performance.now() - began) / 1000;
    ear.getFloatTimeDomainData(wave);
    const peak = wave.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
    line.level.value = 20 * Math.log10(peak);
    const word = peak >= 0.99 ? "too loud!" : "recording";
    line.text.textContent = `${word} ${past.toFixed(1)} of ${seconds} s`;
    if (past >= seconds) stop();
  }, 100);
}

// The mean of the channels as a WAV file, base64.
function sepRecordWav(sound) {
  const n = sound.length, bytes = new DataView(new ArrayBuffer(44 + 2 * n));
  const word = (at, text) => [...text].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF"); bytes.setUint32(4, 36 + 2 * n, true); word(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, sound.sampleRate, true); bytes.setUint32(28, 2 * sound.sampleRate, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  word(36, "data"); bytes.setUint32(40, 2 * n, true);
  const channels = Array.from({length: sound.numberOfChannels}, (_, c) => sound.getChannelData(c));
  for (let t = 0; t < n; t++) {
    const x = channels.reduce((sum, channel) => sum + channel[t], 0) / channels.length;
    bytes.setInt16(44 + 2 * t, Math.round(Math.max(-1, Math.min(1, x)) * 32767), true);
  }
  const whole = new Uint8Array(bytes.buffer);
  let text = "";
  for (let at = 0; at < whole.length; at += 32768)
    text += String.fromCharCode(...whole.subarray(at, at + 32768));
  return btoa(text);
}
