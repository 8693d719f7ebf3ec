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
    COMPLETED: { description: "The model answered completely." },
    PARTIAL: { description: "The provider broke off. The input and the delivered text are charged." },
    CANCELLED: { description: "The client left. The input and the text that the model wrote until then are charged." },
    FAILED: { description: "The provider failed before it answered. Nothing is charged." },
    ABANDONED: { description: "The server stopped during the call, or the answer came too late. Nothing is charged." },
  },
});
