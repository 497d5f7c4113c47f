/** Calls by day as bars, with the same as a table for whoever does not see them. */

import { element } from "../dom";
import type { Words } from "../i18n";
import type { PlanList, UsageRow } from "./api";
import { table, tagged } from "./parts";
import { sayMoney } from "./say";

const WIDTH = 600;
const HEIGHT = 140;
const GAP = 0.28;
const SVG = "http://www.w3.org/2000/svg";

export interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The least of 1, 2, 5, 10, 20, 50, ... that is not below `most`. */
export function top(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 5, 10].map((step) => step * power).find((each) => each >= most) ?? power;
}

/** One bar a value, side by side within `width` and `height`; what is not nothing is seen. */
export function bars(values: readonly number[], width: number, height: number): readonly Bar[] {
  const room = width / Math.max(1, values.length);
  const most = top(Math.max(0, ...values));
  return values.map((value, index) => {
    const tall = value <= 0 ? 0 : Math.max(2, (value / most) * height);
    return { x: (index + GAP / 2) * room, y: height - tall, width: room * (1 - GAP), height: tall };
  });
}

/** "24 November" of 2026-11-24, which is a day and no moment: no time zone moves it. */
export function sayDay(tag: string, day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return day;
  return new Intl.DateTimeFormat(tag, { day: "numeric", month: "short", timeZone: "UTC" }).format(date);
}

export function usageChart(words: Words, rows: readonly UsageRow[], plans: PlanList): HTMLElement {
  const calls = rows.map((row) => row.calls);
  const most = Math.max(0, ...calls);
  const day = (row: UsageRow | undefined): string => (row === undefined ? "" : sayDay(words.tag, row.name));
  const sum = calls.reduce((all, each) => all + each, 0);
  const label = words.say("usageChart", { from: day(rows[0]), to: day(rows.at(-1)), n: sum, most });
  const drawing = draw(calls);
  const readout = tagged(element("p", "readout", sum === 0 ? words.say("usageNothing") : ""), "usage-readout");
  readout.setAttribute("role", "status");
  const plot = tagged(element("div", "plot", drawing), "usage-chart");
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", label);
  let at = rows.length;
  const look = (index: number): void => {
    at = Math.min(Math.max(index, 0), rows.length - 1);
    const row = rows[at];
    if (row === undefined) return;
    [...drawing.children].forEach((bar, i) => bar.classList.toggle("is-looked-at", i === at));
    const amount = sayMoney(words, row.amount, plans);
    readout.textContent = words.say("usageDay", { day: day(row), calls: row.calls, amount });
  };
  plot.addEventListener("pointermove", (event) => {
    const { left, width } = plot.getBoundingClientRect();
    look(Math.floor(((event.clientX - left) / width) * rows.length));
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -rows.length, End: rows.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    look(at + step);
  });
  const scale = element("div", "scale", element("span", "", day(rows[0])), element("span", "", day(rows.at(-1))));
  const heads = [words.say("day"), words.say("calls"), words.say("fromCache"), words.say("amount")];
  const figures = table(label, heads, rows.map((row) => [row.name, String(row.calls), String(row.cached), row.amount]));
  const unseen = element("div", "unseen", figures); // a table itself cannot be made so small
  for (const part of [scale, drawing]) part.setAttribute("aria-hidden", "true");
  return element("figure", "usage", element("span", "usage-top", String(top(most))), plot, scale, readout, unseen);
}

function draw(values: readonly number[]): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const made = bars(values, WIDTH, HEIGHT).map((bar) => {
    const rect = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries(bar)) rect.setAttribute(name, value.toFixed(2));
    return rect;
  });
  svg.append(...made);
  return svg;
}
