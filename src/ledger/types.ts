import { registerEnumType } from "type-graphql";

export enum GenerationStatus {
  COMPLETED = "COMPLETED",
  PARTIAL = "PARTIAL",
  CANCELLED = "CANCELLED",
  FAILED = "FAILED",
  ABANDONED = "ABANDONED",
}
registerEnumType(GenerationStatus, {
  name: "GenerationStatus",
  description: "How a call ended.",
  valuesConfig: {
    COMPLETED: { description: "The model answered in full." },
    PARTIAL: { description: "The provider broke off; what was delivered is charged." },
    CANCELLED: { description: "The caller left; what was produced until then is charged." },
    FAILED: { description: "The provider failed before it answered; nothing is charged." },
    ABANDONED: { description: "The server died or the answer came too late; nothing is charged." },
  },
});
