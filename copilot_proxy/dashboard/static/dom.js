// Builds elements. Text is only ever set as text, so names from clients can never become markup.

export const $ = (id) => document.getElementById(id);

/** Returns an element; `props` are properties, or attributes if their name has a dash. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (name.includes("-") || name === "role" || name === "for" || name === "scope") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replaces the children of `target`; the focus stays on the element with the same `data-focus`. */
export function render(target, ...children) {
  const focused = target.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  target.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  if (focused) target.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

/** Returns a button that copies `text`. */
export function copyButton(text, label) {
  return el("button", {
    type: "button", className: "small", "aria-label": `Copy ${label}`, "data-focus": `copy ${label}`,
    on: { click: (event) => copy(text, event.currentTarget) },
  }, "Copy");
}

/** Copies `text`, and confirms it on `button` and to screen readers. */
export async function copy(text, button) {
  let worked = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    worked = copyOldWay(text, button);
  }
  button.textContent = worked ? "Copied" : "Failed";
  $("copied").textContent = worked ? `Copied: ${text}` : "Copying failed.";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

/** The clipboard requires https or loopback; otherwise, copy a selection. */
function copyOldWay(text, button) {
  const area = el("textarea", { value: text, className: "hidden" });
  document.body.append(area);
  area.select();
  const worked = document.execCommand("copy");
  area.remove();
  button.focus();
  return worked;
}
