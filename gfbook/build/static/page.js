// Before a page is drawn: the theme that its reader has elsewhere. Once it is there: one switch
// for the folds of all its checks, which is remembered, and the fold that an address leads to.
const theme = document.documentElement.dataset;
if (theme.theme === "auto") theme.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

/** What the reader chose on another page, where the browser keeps that. */
const remembered = {
  get open() { try { return localStorage.getItem("checks") === "open"; } catch { return false; } },
  set open(open) { try { open ? localStorage.setItem("checks", "open") : localStorage.removeItem("checks"); } catch {} },
};

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const check = target?.closest("details.check");
  if (!check) return;
  check.open = true;
  target.scrollIntoView();
}

addEventListener("DOMContentLoaded", () => {
  const checks = document.querySelectorAll("details.check");
  if (!checks.length) return;
  const all = document.createElement("input");
  Object.assign(all, { type: "checkbox", role: "switch" });
  const turn = () => checks.forEach((check) => { check.open = all.checked; });
  all.addEventListener("change", () => { turn(); remembered.open = all.checked; });
  all.checked = remembered.open || new URLSearchParams(location.search).get("checks") === "open";
  if (all.checked) turn();
  const label = document.createElement("label");
  label.className = "checks";
  label.append(all, " Show all checks");
  document.querySelector("article h1").after(label);
  addEventListener("hashchange", follow);
  follow();
});
