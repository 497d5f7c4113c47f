/** Answers of the server are read field by field: what is missing, or of another type, is as if it were not said. */

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** Empty where there is none. */
export function text(fields: Fields, key: string): string {
  const value = fields[key];
  return typeof value === "string" ? value : "";
}

export function textOrNull(fields: Fields, key: string): string | null {
  return text(fields, key) || null;
}

export function number(fields: Fields, key: string): number {
  return numberOrNull(fields, key) ?? 0;
}

export function numberOrNull(fields: Fields, key: string): number | null {
  const value = fields[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function texts(fields: Fields, key: string): readonly string[] {
  const value = fields[key];
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

export function listOf<T>(fields: Fields, key: string, read: (item: Fields) => T): readonly T[] {
  const value = fields[key];
  return Array.isArray(value) ? value.map((item) => read(fieldsOf(item))) : [];
}

/** A moment as ISO 8601 or as seconds since 1970; null where it is neither. */
export function moment(fields: Fields, key: string): Date | null {
  const value = fields[key];
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(typeof value === "string" ? value : NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}
