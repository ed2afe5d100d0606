// Creates a form field per parameter from its JSON schema: label, hint, bounds and error message.

import { fill, h, icon, sentence, uid } from "../core/dom.js";
import { humanize } from "../core/format.js";

/**
 * @typedef {{node: HTMLElement, path: string, read: () => any, write: (value: any) => void,
 *   showError: (error: {detail: string, suggestion: string | null} | null) => void, focus: () => void}} Field
 */

/** Returns a nullable schema without its null branch. */
export function solid(schema) {
  const options = schema.anyOf ?? schema.oneOf;
  if (!options) return schema;
  return { ...options.find((option) => option.type !== "null"), default: schema.default, description: schema.description, nullable: true };
}

/** Creates the element for a field's error message and suggestion. */
export function errorSlot() {
  const node = h("p", { className: "field-error", id: uid("error"), hidden: true });
  return {
    node,
    show(fieldError, onSuggestion) {
      node.hidden = !fieldError;
      if (!fieldError) return fill(node);
      const offer = fieldError.suggestion && onSuggestion;
      return fill(
        node,
        icon("alert"),
        h("span", null, capital(fieldError.detail), " ", offer && h("button", { type: "button", onclick: () => onSuggestion(fieldError.suggestion) }, `Use ${fieldError.suggestion}`)),
      );
    },
  };
}

const capital = (text) => (text ? text.charAt(0).toUpperCase() + text.slice(1) : "Invalid value");

/**
 * @param {string} name the parameter
 * @param {any} raw its JSON schema
 * @param {{label?: string, range?: [number, number, number], hint?: string, labels?: Record<string, string>, extra?: any}} options
 * @param {(value: any) => void} onChange gets undefined for the default
 * @returns {Field}
 */
export function field(name, raw, options, onChange) {
  const schema = solid(raw);
  const make = schema.enum ? choice : schema.type === "boolean" ? toggle : schema.type === "string" ? text : options.range ? slider : number;
  const id = uid(name);
  const slot = errorSlot();
  const hint = h("p", { className: "hint", id: uid("hint") }, sentence(options.hint ?? schema.description ?? ""));
  const label = options.label ?? humanize(name);
  const built = make({ id, name, schema, label, options, describedBy: `${hint.id} ${slot.node.id}`, hint, onChange });
  const wrapper = built.group ? "fieldset" : "div";
  const node = h(wrapper, { className: `field ${built.className ?? ""}`, "data-path": `params.${name}` }, built.parts, !built.hinted && hint, slot.node);
  return {
    node,
    path: `params.${name}`,
    read: built.read,
    write: built.write,
    focus: () => built.control.focus(),
    showError(fieldError) {
      for (const control of built.controls ?? [built.control]) {
        if (fieldError) control.setAttribute("aria-invalid", "true");
        else control.removeAttribute("aria-invalid");
      }
      slot.show(fieldError, (suggestion) => {
        const value = schema.type === "integer" || schema.type === "number" ? Number(suggestion) : suggestion;
        built.write(value);
        onChange(value);
      });
    },
  };
}

function slider({ id, schema, label, options, describedBy, onChange }) {
  const [low, high, step] = options.range;
  const range = h("input", { type: "range", id, min: low, max: high, step, "aria-describedby": describedBy });
  const exact = h("input", { type: "number", min: schema.minimum ?? "", max: schema.maximum ?? "", step: "any", inputMode: "decimal", "aria-label": `${label}, exact`, "aria-describedby": describedBy });
  const paint = () => range.style.setProperty("--at", `${((range.value - low) / (high - low)) * 100}%`);
  const write = (value) => {
    exact.value = value;
    range.value = value;
    paint();
  };
  range.addEventListener("input", () => {
    exact.value = range.value;
    paint();
    onChange(Number(range.value));
  });
  exact.addEventListener("input", () => {
    range.value = exact.value;
    paint();
    onChange(exact.value === "" ? undefined : Number(exact.value));
  });
  write(schema.default);
  return {
    className: "slider-field",
    parts: [h("div", { className: "field-head" }, h("label", { for: id, className: "label" }, label), exact), range],
    control: exact,
    read: () => (exact.value === "" ? undefined : Number(exact.value)),
    write: (value) => write(value ?? schema.default),
  };
}

function number({ id, schema, label, options, describedBy, onChange }) {
  const input = h("input", { type: "number", id, step: "any", inputMode: schema.type === "integer" ? "numeric" : "decimal", placeholder: schema.nullable ? "Automatic" : String(schema.default ?? ""), "aria-describedby": describedBy });
  const read = () => (input.value === "" ? undefined : Number(input.value));
  input.addEventListener("input", () => onChange(read()));
  const extra = options.extra?.((value) => {
    input.value = value;
    onChange(value);
  });
  return {
    parts: [h("label", { for: id, className: "label" }, label), extra ? h("div", { className: "with-button" }, input, extra) : input],
    control: input,
    read,
    write: (value) => (input.value = value ?? ""),
  };
}

function text({ id, label, schema, describedBy, onChange }) {
  const input = h("input", { type: "text", id, placeholder: schema.nullable ? "Automatic" : String(schema.default ?? ""), "aria-describedby": describedBy, oninput: () => onChange(input.value || undefined) });
  return { parts: [h("label", { for: id, className: "label" }, label), input], control: input, read: () => input.value || undefined, write: (value) => (input.value = value ?? "") };
}

function choice({ name, schema, label, options, describedBy, onChange }) {
  const group = uid(name);
  const inputs = schema.enum.map((value) => h("input", { type: "radio", name: group, value, onchange: () => onChange(value) }));
  const write = (value) => inputs.forEach((input) => (input.checked = input.value === String(value ?? schema.default)));
  write(schema.default);
  return {
    group: true,
    parts: [
      h("legend", { className: "label" }, label),
      h("div", { className: "segments", "aria-describedby": describedBy }, inputs.map((input) => h("label", null, input, options.labels?.[input.value] ?? humanize(input.value)))),
    ],
    control: inputs[0],
    controls: inputs,
    read: () => inputs.find((input) => input.checked)?.value,
    write,
  };
}

function toggle({ id, schema, label, hint, describedBy, onChange }) {
  const input = h("input", { type: "checkbox", role: "switch", id, "aria-describedby": describedBy, onchange: () => onChange(input.checked) });
  input.checked = Boolean(schema.default);
  return {
    hinted: true,
    parts: [h("label", { className: "switch", for: id }, input, h("span", { className: "label" }, label), hint)],
    control: input,
    read: () => input.checked,
    write: (value) => (input.checked = value ?? Boolean(schema.default)),
  };
}
