// The pictures of the first page: modes of two layers in the plane of their two weights, beside
// one layer, to be grabbed. Only here is mathematics done in a script: one mode has a closed form,
// which a test compares with gfcore. Without a script the page shows what `node assets/mode.js`
// has written to assets/modes/, which is what this draws first.
"use strict";
(() => {
const R = 2.4, SIDE = 340, LEFT = 30, BOTTOM = 300, END = 6; // of the plane; pixels; the last time
const PICTURES = {
  start: { modes: [{ sigma: 1, u: 1.45, v: -0.75 }], law: true, field: true, sliders: ["sigma", "time"] },
  one: { one: { sigma: 1.5, x: -0.3 }, sliders: ["target", "time"] },
  two: { modes: [{ sigma: 1, u: 0.12, v: 0.08 }], field: true, sliders: ["sigma", "time"] },
  law: { modes: [{ sigma: 1, u: 1.25, v: 0.08 }], law: true, sliders: ["lambda", "time"] },
  several: { modes: [{ sigma: 2, u: 0.2, v: 0.1 }, { sigma: 0.5, u: 1.6, v: 0.03 }], law: true, sliders: ["time"] },
};

/** The weights (u, v) at time t: the squares of u + v and u - v are quotients of sums of what is
 * not negative, so that no digit is lost. Their product, the imbalance, keeps its value. */
function at({ sigma, u, v }, t) {
  const p = u + v, q = u - v, lam = p * q;
  const omega = Math.hypot(2 * sigma, lam), e = Math.exp(-omega * t);
  const high = 2 * sigma + omega, low = lam * lam / high, gained = lam * lam * -Math.expm1(-omega * t);
  const square = (a, high, low) => (a * (high + low * e) + gained) / (a * -Math.expm1(-omega * t) + low + high * e);
  const P = p && Math.sign(p) * Math.sqrt(square(p * p, high, low)); // on the ridge p is zero, and stays so
  const Q = Math.sign(q) * Math.sqrt(square(q * q, low, high));
  return { u: (P + Q) / 2, v: (P - Q) / 2 };
}

/** When half of the error is gone; Infinity on the ridge, NaN where there is no error. */
function half({ sigma, u, v }) {
  const p = u + v, lam = p * (u - v), omega = Math.hypot(2 * sigma, lam), high = 2 * sigma + omega, low = lam * lam / high;
  const x = (u * v + sigma) / 2, P = 2 * x + Math.hypot(2 * x, lam);
  if (p === 0) return Infinity;
  return Math.log((p * p - high) * (P + low) / ((p * p + low) * (P - high))) / omega;
}

const typed = (a, digits = 2) => (Object.is(+a.toFixed(digits), -0) ? 0 : a).toFixed(digits).replace("-", "−");
const imbalance = ({ u, v }) => (u + v) * (u - v);
const rate = (mode) => Math.hypot(2 * mode.sigma, imbalance(mode));
const done = (mode) => Math.abs(mode.u * mode.v - mode.sigma) < 0.005 * mode.sigma;

/** What happened, in words. */
function told({ modes, one, law, sliders }) {
  if (one) {
    return `The target is ${typed(one.sigma)}. Half of the error is gone at t = ln 2 = 0.69, a tenth is left at t = ln 10 = 2.30: from every start, for every target.`;
  }
  const [mode] = modes, time = half(mode), lam = typed(imbalance(mode));
  if (modes.length > 1) {
    const [first, last] = modes.map((m) => ({ sigma: typed(m.sigma, 1), time: half(m), rate: typed(rate(m)) }));
    const said = ({ sigma, time }) => Number.isFinite(time) ? `of σ = ${sigma} half of the error is gone at t = ${typed(time)}` : `σ = ${sigma} is never learned`;
    const [a, b] = last.time < first.time ? [last, first] : [first, last];
    return `First ${said(a)}, then ${said(b)}. In the end their rates are ${a.rate} and ${b.rate}. ${a === last ? "The weak direction is the first: imbalance has turned the order round." : "The strong direction is the first."}`;
  }
  if (done(mode)) return "It starts on the dotted curve: there is nothing left to learn.";
  if (mode.u === 0 && mode.v === 0) return "Both weights are zero: nothing moves them, and nothing is learned. One layer would learn all the same.";
  if (time === Infinity) return "You hit the ridge. From u = −v the path runs into the saddle at zero and stays there: nothing is learned, while one layer learns everything.";
  const half_gone = `Half of the error is gone at t = ${typed(time)}, ${time > Math.LN2 ? "later" : "sooner"} than with one layer (0.69)`;
  const wait = time > 1.5 ? ": it has to wait near the saddle" : "";
  if (!law) return `${half_gone}${wait}. Then it is ${rate(mode) > 1 ? "faster" : "slower"}: in the end its rate is ${typed(rate(mode))}, that of one layer 1.`;
  return `The imbalance λ = ${lam} is kept all the way. ${half_gone}${wait}. In the end the rate is √(4σ² + λ²) = ${typed(rate(mode))}; one layer has 1.`;
}

const X = (u) => (u + R) / (2 * R) * SIDE, Y = (v) => SIDE - X(v);
const T = (t) => LEFT + t / END * (SIDE - LEFT - 6);
const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
const line = (name, d) => `<path class="${name}" d="${d}"/>`;
const text = (x, y, words, name = "", anchor = "start") => `<text${name && ` class="${name}"`} x="${x.toFixed(0)}" y="${y.toFixed(0)}" text-anchor="${anchor}">${words}</text>`;
const range = (low, high, count) => Array.from({ length: count + 1 }, (_, i) => low + (high - low) * i / count);
/** Times that are close where the path is fast, up to t. */
const times = (t) => range(0, 1, 160).map((s) => t * s * s);

/** Both branches of a hyperbola, from one parameter. */
function branches(name, point) {
  return [1, -1].map((sign) => {
    const inside = range(-3.5, 3.5, 140).map((s) => point(s, sign)).filter((p) => Math.max(...p.map(Math.abs)) < 1.2 * R);
    return inside.length ? line(name, path(inside.map(([u, v]) => [X(u), Y(v)]))) : "";
  }).join("");
}

function plane({ modes, law, field }, t) {
  const arrows = !field ? "" : range(-2.1, 2.1, 12).flatMap((u) => range(-2.1, 2.1, 12).map((v) => {
    const force = modes[0].sigma - u * v, size = Math.abs(force) * Math.hypot(u, v) + 1e-9, length = 0.15 * Math.min(1, size);
    return path([[X(u), Y(v)], [X(u + force * v / size * length), Y(v + force * u / size * length)]]);
  })).join("");
  const drawn = modes.map((mode, i) => {
    const { sigma } = mode, lam = imbalance(mode), a = Math.sqrt(Math.abs(lam)), root = Math.sqrt(sigma), end = at(mode, t);
    const hyperbola = (s, sign) => lam >= 0 ? [sign * a * Math.cosh(s), a * Math.sinh(s)] : [a * Math.sinh(s), sign * a * Math.cosh(s)];
    return (law ? branches("law", hyperbola) : "") + branches("done", (s, sign) => [sign * root * Math.exp(s), sign * root * Math.exp(-s)])
      + line(`two two-${i}`, path(times(t).map((s) => at(mode, s)).map(({ u, v }) => [X(u), Y(v)])))
      + `<circle class="end" cx="${X(end.u).toFixed(1)}" cy="${Y(end.v).toFixed(1)}" r="5"/>`;
  }).join("");
  // Right of their curves: at the top, and the second's where the first leaves it room.
  const names = modes.map(({ sigma }, i) => text(X(sigma / (i ? 1.4 : R)) + 8, i ? Y(1.4) : 13, modes.length > 1 ? `uv = ${typed(sigma, 1)}` : "uv = σ: done")).join("");
  const axes = line("axis", `M0,${Y(0)}H${SIDE}M${X(0)},0V${SIDE}`) + text(SIDE - 4, Y(0) + 16, "u", "letter", "end") + text(X(0) - 6, 13, "v", "letter", "end");
  const said = law && modes.length === 1 ? text(4, SIDE - 6, `u² − v² = ${typed(imbalance(modes[0]))}`, "law-said") : "";
  return line("field", arrows) + axes + drawn + names + said;
}

function race({ modes, one }, t) {
  const [low, high] = one ? [-1, 2.4] : [-1.3, 1.5], y = (x) => (high - x) / (high - low) * BOTTOM;
  const curve = (name, f) => line(name, path(times(t).map((s) => [T(s), y(Math.max(-3, Math.min(3, f(s))))])));
  const kept = one ?? { sigma: 1, x: modes[0].u * modes[0].v / modes[0].sigma }; // of one layer
  const decays = (s) => kept.sigma + (kept.x - kept.sigma) * Math.exp(-s);
  const ticks = (one ? [-1, 0, 1, 2] : [0, 1]).map((x) => text(LEFT - 6, y(x) + 4, typed(x, 0), "", "end")).join("")
    + range(0, END, 3).map((s) => text(T(s), BOTTOM + 17, s, "", "middle")).join("");
  const frame = line("axis", `M${LEFT},0V${BOTTOM}H${SIDE - 6}`) + line("done", `M${LEFT},${y(kept.sigma).toFixed(1)}H${SIDE - 6}`) + ticks
    + text(SIDE - 6, BOTTOM + 33, "time t", "", "end");
  const inside = (curves) => `<svg width="${SIDE - 4}" height="${BOTTOM}">${curves}</svg>`;
  if (one) return frame + text(SIDE - 8, y(one.sigma) - 7, "target σ", "done-said", "end") + text(LEFT + 6, 13, "x", "letter") + inside(curve("one", decays)) + text(SIDE - 8, y(-0.6), "one layer, x", "one-said", "end");
  const begin = modes.length > 1 || (kept.x >= low && kept.x <= high) ? "" : text(SIDE - 8, kept.x < low ? BOTTOM - 8 : 13, `from ${typed(kept.x)}`, "", "end");
  const several = modes.length > 1, share = (mode) => (s) => { const { u, v } = at(mode, s); return u * v / mode.sigma; };
  return frame + text(LEFT + 6, 13, "share learned, uv / σ") + begin
    + inside((several ? "" : curve("one", decays)) + modes.map((mode, i) => curve(`two two-${i}`, share(mode))).join(""))
    + modes.map((mode, i) => text(SIDE - 8, y(-0.3 - 0.3 * i), several ? `${i ? "•••" : "—"} σ = ${typed(mode.sigma, 1)}` : "two layers", `two-said two-${i}`, "end")).join("")
    + (several ? "" : text(SIDE - 8, y(-0.6), "one layer", "one-said", "end"));
}

const handle = (i, u, v) => `<g class="handle" data-mode="${i}" transform="translate(${X(u).toFixed(1)},${Y(v).toFixed(1)})"><circle r="22"/><circle r="8"/></g>`;

/** A picture as it is at first: what a page shows without a script. */
function still(name) {
  const spec = PICTURES[name], said = told(spec), box = `viewBox="0 0 ${SIDE} ${SIDE}"`;
  const left = spec.one ? "" : `<svg class="plane" ${box} role="group" aria-label="The plane of the weights u and v"><g>${plane(spec, END)}</g>${spec.modes.map(({ u, v }, i) => handle(i, u, v)).join("")}</svg>\n`;
  const grip = spec.one ? `<g class="handle" data-mode="0" transform="translate(${LEFT},${((2.4 - spec.one.x) / 3.4 * BOTTOM).toFixed(1)})"><circle r="22"/><circle r="8"/></g>` : "";
  return `<figure class="mode${spec.one ? " mode-one" : ""}" data-picture="${name}">
<div class="boards">${left}<svg class="race" ${box}${grip ? ' role="group"' : ' role="img"'} aria-label="What is learned, against time"><g>${race(spec, END)}</g>${grip}</svg></div>
<div class="mode-controls"></div>
<figcaption aria-live="polite">${said}</figcaption>
</figure>
`;
}

/** The same picture, to be moved. */
function mount(figure) {
  const spec = structuredClone(PICTURES[figure.dataset.picture]), [mode] = spec.modes ?? [spec.one];
  const boards = figure.querySelectorAll(".boards > svg"), caption = figure.querySelector("figcaption"), form = figure.querySelector(".mode-controls");
  const handles = [...figure.querySelectorAll(".handle")];
  let time = END, running = 0;
  const clamp = (a, r = R - 0.05) => Math.max(-r, Math.min(r, a));
  const product = spec.modes ? mode.u * mode.v : 0; // is kept where the slider of lambda is moved
  const SLIDERS = {
    sigma: { label: "target σ", min: 0.25, max: 2, step: 0.05, get: () => mode.sigma, set: (a) => { mode.sigma = a; } },
    target: { label: "target σ", min: -0.5, max: 2, step: 0.05, get: () => mode.sigma, set: (a) => { mode.sigma = a; } },
    lambda: {
      label: "imbalance λ", min: -4, max: 4, step: 0.05, get: () => imbalance(mode),
      set: (lam) => { const p = Math.sqrt(2 * product + Math.hypot(2 * product, lam)), q = lam / p; [mode.u, mode.v] = [(p + q) / 2, (p - q) / 2]; },
    },
    time: { label: "time t", min: 0, max: END, step: 0.05, get: () => time, set: (a) => { time = a; } },
  };
  const sliders = spec.sliders.map((name) => {
    const { label, set, get, ...rest } = SLIDERS[name], input = Object.assign(document.createElement("input"), { type: "range", ...rest });
    input.addEventListener("input", () => { stop(); if (name !== "time") time = END; set(+input.value); draw(); });
    const box = document.createElement("label"), output = document.createElement("output");
    box.append(`${label} `, input, output);
    form.append(box);
    return () => { input.value = get(); output.textContent = typed(get()); input.setAttribute("aria-valuetext", typed(get())); };
  });
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "▶ Play" });
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) form.prepend(button);
  function stop() { cancelAnimationFrame(running); running = 0; button.textContent = "▶ Play"; }
  button.addEventListener("click", () => {
    if (running) return stop();
    const begun = performance.now(), from = time < END ? time : 0;
    const step = (now) => { time = Math.min(END, from + Math.max(0, now - begun) / 800); draw(); if (time < END) running = requestAnimationFrame(step); else stop(); };
    button.textContent = "❚❚ Pause";
    running = requestAnimationFrame(step);
  });
  function draw() {
    const states = spec.modes ?? [];
    boards.forEach((board) => { board.querySelector("g").innerHTML = board.matches(".plane") ? plane(spec, time) : race(spec, time); });
    handles.forEach((grip, i) => {
      const { u, v } = states[i] ?? {}, x = spec.one?.x;
      grip.setAttribute("transform", spec.one ? `translate(${LEFT},${(2.4 - x) / 3.4 * BOTTOM})` : `translate(${X(u)},${Y(v)})`);
      grip.setAttribute("aria-valuenow", typed(spec.one ? x : u).replace("−", "-"));
      grip.setAttribute("aria-valuetext", spec.one ? `x = ${typed(x)}` : `u = ${typed(u)}, v = ${typed(v)}`);
    });
    sliders.forEach((say) => say());
    const said = told(spec);
    if (caption.textContent !== said) caption.textContent = said;
  }
  const place = (i, u, v, free) => {
    if (spec.one) spec.one.x = Math.max(-0.95, Math.min(2.35, v));
    else {
      [u, v] = [clamp(u), clamp(v)];
      if (free && Math.abs(u + v) < 0.06) v = -u; // the ridge and the balanced starts can be hit by hand
      else if (free && Math.abs(u - v) < 0.04) v = u;
      Object.assign(spec.modes[i], { u, v });
    }
    stop();
    time = END;
    draw();
  };
  handles.forEach((grip, i) => {
    const board = grip.ownerSVGElement;
    const names = { role: "slider", tabindex: 0, "aria-valuemin": -R, "aria-valuemax": R, "aria-label": spec.one ? "start of x" : `start (u, v)${spec.modes.length > 1 ? ` of σ = ${typed(spec.modes[i].sigma, 1)}` : ""}, moved by the arrow keys` };
    for (const [name, value] of Object.entries(names)) grip.setAttribute(name, value);
    const moved = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(board.getScreenCTM().inverse());
      place(i, x / SIDE * 2 * R - R, spec.one ? 2.4 - y / BOTTOM * 3.4 : (SIDE - y) / SIDE * 2 * R - R, true);
    };
    grip.addEventListener("pointerdown", (event) => { grip.setPointerCapture(event.pointerId); event.preventDefault(); grip.focus({ preventScroll: true }); });
    grip.addEventListener("pointermove", (event) => { if (grip.hasPointerCapture(event.pointerId)) moved(event); });
    if (handles.length === 1 && !spec.one) board.addEventListener("click", (event) => { if (!grip.contains(event.target)) moved(event); });
    grip.addEventListener("keydown", (event) => {
      const [du, dv] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [];
      if (du === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const step = event.shiftKey ? 0.25 : 0.05, near = (a, d) => d ? Math.round((a + d * step) / step) * step : a;
      const { u, v } = spec.modes?.[i] ?? { u: 0, v: spec.one.x };
      place(i, near(u, du), near(v, dv), false);
    });
  });
  draw();
}

if (typeof document !== "undefined") document.querySelectorAll("figure.mode").forEach(mount);
else {
  module.exports = { PICTURES, at, half, still };
  if (require.main === module) for (const name of Object.keys(PICTURES)) require("fs").writeFileSync(`${__dirname}/modes/${name}.html`, still(name));
}
})();
