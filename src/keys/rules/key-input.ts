import { defaultScopes } from "../../auth/access.ts";
import type { NewKey } from "../store.ts";
import {
  type ColumnOf,
  type KeyField,
  type KeyFieldName,
  keyFieldNames,
  keyFields,
  type ValueOf,
} from "./key-fields.ts";

/** The settings of a key as a caller gives them, with ids as the database has them. Read here, whatever the door. */
export type KeyInput = { [F in KeyFieldName]?: ValueOf<F> | null | undefined };

/** The settings of a key as the database has them. `expiresAt` is judged by the database's clock when it is written. */
export type KeySettings = Pick<NewKey, ColumnOf<KeyFieldName>>;

/** @throws BAD_USER_INPUT naming the first field that is wrong */
export function readNewSettings(input: KeyInput & { name: string }): KeySettings {
  return { name: input.name, scopes: defaultScopes, ...readSettings(input) };
}

/**
 * Only the fields that are there: null takes a limit away, absence leaves it.
 * @throws BAD_USER_INPUT naming the first field that is wrong
 */
export function readSettings(input: KeyInput): Partial<KeySettings> {
  const given = keyFieldNames.filter((name) => input[name] !== undefined);
  return Object.fromEntries(
    given.map((name) => {
      const { column, read }: KeyField = keyFields[name];
      return [column, read(input[name], name)];
    }),
  );
}
