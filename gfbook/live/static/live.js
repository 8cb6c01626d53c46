// On a page whose code can run in it: the button, and what the reader changed here before. All
// that runs Python is loaded when it is pressed.
// The theme takes Ctrl-K from wherever one is, also from who writes.
addEventListener("keydown", (event) => {
  if (/^k$/i.test(event.key) && (event.ctrlKey || event.metaKey) && event.target.closest?.("input:not([type=range]), textarea, .cm-content")) event.stopImmediatePropagation();
}, true);
addEventListener("DOMContentLoaded", () => {
  const source = document.getElementById("live-parts");
  const title = document.querySelector("article h1");
  if (!source || !title) return;
  const parts = JSON.parse(source.textContent);
  const box = document.createElement("div");
  box.className = "live-start";
  if (location.protocol === "file:") {
    box.textContent = "Python runs in this page where it comes from a server, as with make serve.";
    return title.after(box);
  }
  const button = document.createElement("button");
  const told = document.createElement("span");
  Object.assign(button, { type: "button", className: "live-button live-first", textContent: parts.label });
  Object.assign(told, { className: "live-told", id: "live-told" });
  button.setAttribute("aria-describedby", told.id);
  told.textContent = `Loads Python into this browser, ${Math.round(parts.size / 1e6)} MB the first time. Nothing is sent anywhere.`;
  try {
    const changed = Object.keys(localStorage).filter((key) => key.startsWith(`${parts.key}#`)).length;
    if (changed) told.textContent += ` You changed ${changed === 1 ? "a cell" : `${changed} cells`} here, which will be as you left ${changed === 1 ? "it" : "them"}.`;
  } catch {} // a browser may keep nothing
  const asked = []; // claims of the ledger, each to be checked alone
  const begin = async (whole) => {
    if (button.disabled) return;
    button.disabled = true;
    try {
      const root = new URL(document.documentElement.dataset.content_root, document.baseURI);
      const { start } = await import(new URL(`${parts.scripts}${parts.script}.mjs`, root));
      await start(box, asked, whole);
    } catch (error) {
      button.disabled = false;
      for (const id of asked.splice(0)) document.getElementById(id).querySelector(".live-here button").textContent = "try again";
      told.textContent = `Python could not be loaded: ${error.message}. Is there a network? Try again.`;
      box.replaceChildren(button, told);
    }
  };
  button.addEventListener("click", () => {
    box.focus({ preventScroll: true }); // it stays where the button goes
    begin(true);
  });
  box.tabIndex = -1;
  const head = document.querySelector(".ledger thead tr");
  if (head) document.documentElement.dataset.liveWide = "ledger";
  head?.append(Object.assign(document.createElement("th"), { textContent: "In this browser" }));
  for (const row of document.querySelectorAll(".ledger tbody tr")) {
    const press = Object.assign(document.createElement("button"), { type: "button", className: "live-button", textContent: "check", ariaLabel: `check ${row.id} in this browser` });
    press.onclick = () => {
      press.textContent = "queued";
      if (!asked.includes(row.id)) asked.push(row.id);
      begin(false);
    };
    const cell = row.insertCell();
    cell.className = "live-here";
    cell.append(press);
  }
  box.append(button, told);
  title.after(box);
});
