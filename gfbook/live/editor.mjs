// The editor of a cell: what this book takes of CodeMirror, bundled into static/live/editor.js by
// `npm run editor`. Tab indents; Escape and then Tab leaves.
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, keymap } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

const wrong = StateEffect.define(); // the number of a line, or nothing
const marks = StateField.define({
  create: () => Decoration.none,
  update(value, change) {
    for (const effect of change.effects) {
      if (!effect.is(wrong)) continue;
      if (!(effect.value >= 1 && effect.value <= change.state.doc.lines)) return Decoration.none;
      const line = Decoration.line({ class: "live-wrong" });
      return Decoration.set(line.range(change.state.doc.line(effect.value).from));
    }
    return change.docChanged ? Decoration.none : value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Return an editor of a text; `run` is called by Shift-Enter, `changed` after each change. */
export function editor({ text, label, run, changed }) {
  const view = new EditorView({
    doc: text,
    extensions: [
      history(), indentUnit.of("    "), EditorState.tabSize.of(4), indentOnInput(), bracketMatching(), python(), marks,
      syntaxHighlighting(classHighlighter),
      keymap.of([{ key: "Shift-Enter", run: () => (run(), true) }, ...defaultKeymap, ...historyKeymap, indentWithTab]),
      EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }), // it can be scrolled by keyboard
      EditorView.updateListener.of((update) => update.docChanged && changed()),
    ],
  });
  return {
    element: view.dom,
    get text() { return view.state.doc.toString(); },
    set text(insert) { view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert } }); },
    // Where there is nothing to take off, the browser need not lay out the page for it.
    mark(line) { if (line || view.state.field(marks).size) view.dispatch({ effects: wrong.of(line) }); },
  };
}
