// The blind test of a player, and its score.

// X is A or B by the toss of a coin.
class BlindTest {
  constructor(a, b) {
    Object.assign(this, { A: a, B: b, heard: "A", right: 0, total: 0, verdict: "" });
    this.toss();
  }
  toss() {
    this.x = Math.random() < 0.5 ? "A" : "B";
    this.ready = false; // to be answered: X has not been heard yet
  }
  hear(letter) {
    this.heard = letter;
    this.ready ||= letter === "X";
    return this[letter === "X" ? this.x : letter];
  }
  answer(letter) {
    const right = letter === this.x;
    this.total += 1;
    this.right += right;
    this.verdict = `${right ? "Right" : "No"}: X was ${this.x}.`;
    this.toss();
  }
  // P(at least `right` of `total`) for a guesser, the tail of the binomial distribution
  get chance() {
    let [term, sum] = [0.5 ** this.total, 0];
    for (let k = 0; k <= this.total - this.right; k++) {
      sum += term;
      term *= (this.total - k) / (k + 1);
    }
    return sum;
  }
  get score() {
    if (!this.total) return "Choose A and B on the tracks. Listen to X: which of them is it?";
    const percent = 100 * this.chance;
    const chance = percent < 1 ? percent.toFixed(1) : percent.toFixed(0);
    return `${this.right} right of ${this.total}. By guessing alone: ${chance} % of the time.`;
  }
}
