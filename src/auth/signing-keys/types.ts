import { Field, ID, ObjectType, registerEnumType } from "type-graphql";
import type { SigningKeyRow } from "./store.ts";

export enum SigningKeyStatus {
  NEXT = "NEXT",
  CURRENT = "CURRENT",
  RETIRING = "RETIRING",
}
registerEnumType(SigningKeyStatus, {
  name: "SigningKeyStatus",
  description: "What a signing key is for now.",
  valuesConfig: {
    NEXT: { description: "Published, and signs soon." },
    CURRENT: { description: "Signs new access tokens." },
    RETIRING: { description: "Signs nothing more; the tokens that it has signed are good until they end." },
  },
});

@ObjectType({ description: "A key that signs access tokens. Its private half is never shown.", simpleResolvers: true })
export class SigningKey {
  @Field(() => ID, { description: "As in the header of tokens and in `/.well-known/jwks.json`." })
  kid!: string;

  @Field(() => SigningKeyStatus, { description: "What it is for now." })
  status!: `${SigningKeyStatus}`;

  @Field(() => Date, { description: "When it was made." })
  createdAt!: Date;

  @Field(() => Date, { description: "From when on it signs." })
  signsFrom!: Date;

  @Field(() => Date, {
    nullable: true,
    description: "When the last of its tokens ends; null while nothing follows it.",
  })
  endsAt!: Date | null;
}

/** `rows` are the keys whose tokens are good, the one that signs last first. */
export function toSigningKeys(rows: readonly SigningKeyRow[], now: number): SigningKey[] {
  const current = rows.findIndex(({ signsFrom }) => signsFrom.getTime() <= now);
  return rows.map(({ kid, createdAt, signsFrom, endsAt }, i) => {
    const status = current < 0 || i < current ? "NEXT" : i === current ? "CURRENT" : "RETIRING";
    return { kid, status, createdAt, signsFrom, endsAt };
  });
}
