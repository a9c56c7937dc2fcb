// How things are put for a person: times, headings, and what a model writes.

export const at = (id) => document.getElementById(id);

export function spent(ms) {
  if (ms == null) return "";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// An idea as a heading: its first line, begun as a sentence is, and not longer than one.
export function heading(idea) {
  const line = idea.trim().split("\n")[0].replace(/\s+/g, " ");
  const cut = line.length > 90 ? `${line.slice(0, 89).replace(/\s+\S*$/, "")}…` : line;
  return cut.charAt(0).toUpperCase() + cut.slice(1);
}

// Models write a little Markdown: `code` and **strong** are shown as such, everything else as it is.
export function rich(text) {
  const parts = text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith("`") && part.length > 2) return element("code", part.slice(1, -1));
    if (part.startsWith("**") && part.length > 4) return element("strong", part.slice(2, -2));
    return part;
  });
  const whole = document.createDocumentFragment();
  whole.append(...parts);
  return whole;
}

export function element(name, text = "", properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

// A way out of the page; only where it leads to the web.
export function link(text, url) {
  const anchor = element("a", text, { target: "_blank", rel: "noopener noreferrer" });
  if (/^https?:\/\//.test(url)) anchor.href = url;
  return anchor;
}
