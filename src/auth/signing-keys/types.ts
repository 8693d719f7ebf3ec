import { Field, ID, ObjectType, registerEnumType } from "type-graphql";
import type { SigningKeyRow } from "./store.ts";

export enum SigningKeyStatus {
  NEXT = "NEXT",
  CURRENT = "CURRENT",
  RETIRING = "RETIRING",
}
registerEnumType(SigningKeyStatus, {
  name: "SigningKeyStatus",
  description: "The state of a signing key.",
  valuesConfig: {
    NEXT: { description: "Published, but not signing yet." },
    CURRENT: { description: "Signs new access tokens." },
    RETIRING: { description: "No longer signs. Its tokens stay valid until they expire." },
  },
});

@ObjectType({ description: "A key that signs access tokens. The private key is never shown.", simpleResolvers: true })
export class SigningKey {
  @Field(() => ID, { description: "The key's id, as in the header of tokens and in `/.well-known/jwks.json`." })
  kid!: string;

  @Field(() => SigningKeyStatus, { description: "The key's state." })
  status!: `${SigningKeyStatus}`;

  @Field(() => Date, { description: "When the key was created." })
  createdAt!: Date;

  @Field(() => Date, { description: "When the key starts to sign." })
  signsFrom!: Date;

  @Field(() => Date, {
    nullable: true,
    description: "When the last of its tokens expires; null while no other key replaces it.",
  })
  endsAt!: Date | null;
}

/** `rows` are the keys whose tokens are valid; the one that starts to sign last comes first. */
export function toSigningKeys(rows: readonly SigningKeyRow[], now: number): SigningKey[] {
  const current = rows.findIndex(({ signsFrom }) => signsFrom.getTime() <= now);
  return rows.map(({ kid, createdAt, signsFrom, endsAt }, i) => {
    const status = current < 0 || i < current ? "NEXT" : i === current ? "CURRENT" : "RETIRING";
    return { kid, status, createdAt, signsFrom, endsAt };
  });
}
