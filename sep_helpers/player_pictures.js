// The pictures of a player: computed once at a fixed size, stretched by CSS to any width.

const COLUMNS = 1200; // of a spectrogram
const BARS = 400; // of a waveform
const RANGE = 70; // dB from the loudest bin of all tracks to the darkest colour
// Lightness rises evenly from ink to paper, so that it reads in grey and with any colour vision.
const STOPS = "050613 250e45 561663 8e1c6e c43364 e86256 fc9558 ffcb89 fff9df".split(" ");

const PALETTE = Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (STOPS.length - 1);
  const k = Math.min(Math.floor(at), STOPS.length - 2);
  const channel = (stop, c) => parseInt(STOPS[stop].slice(2 * c, 2 * c + 2), 16);
  return [0, 1, 2].map((c) => channel(k, c) * (k + 1 - at) + channel(k + 1, c) * (at - k));
});

// Fast Fourier transform in place, radix 2, decimation in time.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
  }
  for (let half = 1; half < n; half *= 2) {
    for (let k = 0; k < half; k++) {
      const [c, s] = [Math.cos((Math.PI * k) / half), -Math.sin((Math.PI * k) / half)];
      for (let a = k, b = k + half; b < n; a += 2 * half, b += 2 * half) {
        const [x, y] = [re[b] * c - im[b] * s, re[b] * s + im[b] * c];
        [re[b], im[b]] = [re[a] - x, im[a] - y];
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

// Hann windows of about 32 ms -> {rows, db: COLUMNS x rows}; a full-scale sine is 0 dB.
function spectrogram(wave, rate) {
  const size = 2 ** Math.round(Math.log2(0.032 * rate));
  const rows = size / 2;
  const db = new Float32Array(COLUMNS * rows);
  const hann = Float32Array.from({ length: size }, (_, i) => Math.sin((Math.PI * i) / size) ** 2);
  for (let column = 0; column < COLUMNS; column++) {
    const start = Math.round(((column + 0.5) * wave.length) / COLUMNS) - rows;
    const re = hann.map((weight, i) => (weight * (wave[start + i] || 0) * 4) / size);
    const im = new Float32Array(size);
    fft(re, im);
    for (let row = 0; row < rows; row++) {
      db[column * rows + row] = 10 * Math.log10(re[row] ** 2 + im[row] ** 2 + 1e-20);
    }
  }
  return { rows, db, top: db.reduce((a, b) => Math.max(a, b), -200) };
}

// Colours a spectrogram that is heard `gain` dB louder; `top` dB is the brightest colour.
function paint(canvas, { rows, db }, gain, top) {
  [canvas.width, canvas.height] = [COLUMNS, rows];
  const image = new ImageData(COLUMNS, rows);
  db.forEach((value, i) => {
    const level = 1 + (value + gain - top) / RANGE;
    const pixel = 4 * ((rows - 1 - (i % rows)) * COLUMNS + Math.floor(i / rows));
    image.data.set(PALETTE[Math.round(255 * Math.min(1, Math.max(0, level)))], pixel);
    image.data[pixel + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// SVG paths in a box BARS wide, -1 to 1 high: [extremes, RMS] of every bar.
function outlines(wave) {
  const [peaks, floors, powers] = [[], [], []];
  for (let bar = 0; bar < BARS; bar++) {
    const from = Math.floor((bar * wave.length) / BARS);
    const part = wave.subarray(from, Math.max(from + 1, ((bar + 1) * wave.length) / BARS));
    peaks.push(part.reduce((a, b) => Math.max(a, b)));
    floors.push(part.reduce((a, b) => Math.min(a, b)));
    powers.push(Math.sqrt(part.reduce((a, b) => a + b * b, 0) / part.length));
  }
  const path = (upper, lower) => {
    const line = (heights) => heights.map((y, x) => `${x + 0.5} ${(-y).toPrecision(3)}`);
    return "M" + [...line(upper), ...line(lower).reverse()].join("L") + "Z";
  };
  return [path(peaks, floors), path(powers, powers.map((power) => -power))];
}
