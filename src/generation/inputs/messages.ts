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

@InputType({ description: "A call of a tool that the model asked for before." })
export class ToolCallInput {
  @Field(() => String, { description: "As the model gave it, 1 to 200 characters." })
  id!: string;

  @Field(() => String, { description: "The name of the tool." })
  name!: string;

  @Field(() => String, { description: "A JSON object, as text." })
  arguments!: string;
}

@InputType({ description: "A text or an image of a message: either `text` or `image`." })
export class MessagePartInput {
  @Field(() => String, { nullable: true, description: "A text." })
  text?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "A data URL, `data:image/png;base64,…`, of a PNG, JPEG, GIF or WebP of at most 1 MiB; the whole request has at most 1 MiB. Addresses are refused, because nothing is fetched.",
  })
  image?: string | null;
}

@InputType({ description: "One message of a conversation." })
export class MessageInput {
  @Field(() => MessageRole, { description: "The author of the message." })
  role!: `${MessageRole}`;

  @Field(() => String, {
    description: "The text. It may be empty beside `toolCalls` and must be empty beside `parts`.",
  })
  content!: string;

  @Field(() => [MessagePartInput], {
    nullable: true,
    description:
      "For USER, in place of `content`: 1 to 64 texts and images in their order, at most 16 images in a call. Fails with BAD_USER_INPUT for a model whose modalities have no IMAGE.",
  })
  parts?: MessagePartInput[] | null;

  @Field(() => [ToolCallInput], { nullable: true, description: "For ASSISTANT: the tools that the model called." })
  toolCalls?: ToolCallInput[] | null;

  @Field(() => String, { nullable: true, description: "For TOOL: the id of the tool call that this message answers." })
  toolCallId?: string | null;
}

@InputType({ description: "A tool that the model may ask for. Tollgate passes it on and never runs it." })
export class ToolInput {
  @Field(() => String, { description: "1 to 64 letters, digits, `_` and `-`; unique in the call." })
  name!: string;

  @Field(() => String, { nullable: true, description: "For the model: the purpose of the tool." })
  description?: string | null;

  @Field(() => GraphQLAnyJson, { description: "The JSON Schema of its arguments, an object." })
  parameters!: unknown;
}

@ObjectType("ToolCall", { description: "A call of a tool that the model requests.", simpleResolvers: true })
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
