import type { Dashboard, VariableModel } from "@grafana/schema";

/** A type as it is on the wire: the words of an enumeration in place of its members. */
type Wire<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Wire<T[K]> } : T;

/** Grafana's schema leaves out what the kinds of variables add; the SDK writes these. */
type Variable = Wire<VariableModel> & { auto?: boolean; auto_min?: string; auto_count?: number };

export type Made = Omit<Wire<Dashboard>, "templating"> & { templating?: { list?: Variable[] } };
