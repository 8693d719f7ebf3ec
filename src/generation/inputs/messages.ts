import { Field, InputType, ObjectType, registerEnumType } from "type-graphql";
import { GraphQLAnyJson } from "../../graphql/scalars.ts";

export enum MessageRole {
  SYSTEM = "SYSTEM",
  USER = "USER",
  ASSISTANT = "ASSISTANT",
  TOOL = "TOOL",
}
registerEnumType(MessageRole, {
  name: "MessageRole",
  description: "The author of a message.",
  valuesConfig: {
    SYSTEM: { description: "Instructions for the model." },
    USER: { description: "The user." },
    ASSISTANT: { description: "An earlier answer of the model." },
    TOOL: { description: "The result of a tool that the model called; needs `toolCallId`." },
  },
});

@InputType({ description: "A tool call of an earlier answer." })
export class ToolCallInput {
  @Field(() => String, { description: "The id that the model gave the call, 1 to 200 characters." })
  id!: string;

  @Field(() => String, { description: "The name of the tool." })
  name!: string;

  @Field(() => String, { description: "The arguments: a JSON object, as a string." })
  arguments!: string;
}

@InputType({ description: "A text or an image of a message. Exactly one of `text` and `image` must be set." })
export class MessagePartInput {
  @Field(() => String, { nullable: true, description: "A text." })
  text?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "An image as a data URL, `data:image/png;base64,…`: PNG, JPEG, GIF or WebP. The whole request must be at most 1 MiB. Other URLs are refused, because the gateway fetches nothing.",
  })
  image?: string | null;
}

@InputType({ description: "One message of a conversation." })
export class MessageInput {
  @Field(() => MessageRole, { description: "The author of the message." })
  role!: `${MessageRole}`;

  @Field(() => String, {
    description: "The text. May be empty with `toolCalls`; must be empty with `parts`.",
  })
  content!: string;

  @Field(() => [MessagePartInput], {
    nullable: true,
    description:
      "For USER, in place of `content`: 1 to 64 texts and images in order, at most 16 images per call. Fails with BAD_USER_INPUT for images to a model without the modality IMAGE.",
  })
  parts?: MessagePartInput[] | null;

  @Field(() => [ToolCallInput], { nullable: true, description: "For ASSISTANT: the tools that the model called." })
  toolCalls?: ToolCallInput[] | null;

  @Field(() => String, { nullable: true, description: "For TOOL: the id of the tool call that this message answers." })
  toolCallId?: string | null;
}

@InputType({ description: "A tool that the model may request. Tollgate passes it on and never runs it." })
export class ToolInput {
  @Field(() => String, { description: "The name: 1 to 64 letters, digits, `_` and `-`; unique in the call." })
  name!: string;

  @Field(() => String, { nullable: true, description: "The purpose of the tool, for the model." })
  description?: string | null;

  @Field(() => GraphQLAnyJson, { description: "The JSON Schema of the arguments: an object." })
  parameters!: unknown;
}

@ObjectType("ToolCall", { description: "A tool call that the model requests.", simpleResolvers: true })
export class RequestedTool {
  @Field(() => String, { description: "The id of the call, for `toolCallId` of the message with the tool's result." })
  id!: string;

  @Field(() => String, { description: "The name of the tool." })
  name!: string;

  @Field(() => String, {
    description: "The arguments as the model wrote them: usually a JSON object, which is not checked.",
  })
  arguments!: string;
}
