import { AppError, badInput } from "../errors.ts";

/**
 * Images in messages, as data URLs only. A URL would have to be fetched by this server on behalf of a caller (SSRF), so
 * URLs are refused. Only the first bytes of an image are checked.
 */
export interface TextPart {
  type: "text";
  text: string;
}

export interface ImagePart {
  type: "image";
  mediaType: string;
  /** In base64. */
  data: string;
}

export type MessagePart = TextPart | ImagePart;

export interface GivenPart {
  text?: string | null | undefined;
  image?: string | null | undefined;
}

const imagesMax = 16;
const partsMax = 64;
const imageBytesMax = 1_048_576;

/** The first bytes of each file type, in base64; WebP has its length in the middle. */
const beginnings: Record<string, RegExp> = {
  "image/png": /^iVBORw0KGgo/,
  "image/jpeg": /^\/9j\//,
  "image/gif": /^R0lGOD[dl]h/,
  "image/webp": /^UklGR.{6}XRUJQ/,
};
const dataUrl = /^data:([a-z]+\/[a-z]+);base64,((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

/** @throws BAD_USER_INPUT or INPUT_TOO_LARGE */
export function readParts(given: GivenPart[]): MessagePart[] {
  if (given.length === 0 || given.length > partsMax) throw wrong(`parts must have 1 to ${partsMax} items.`);
  return given.map(({ text, image }) => {
    if ((text == null) === (image == null)) throw wrong("Exactly one of text and image must be set in a part.");
    return text == null ? readImage(image ?? "") : { type: "text", text };
  });
}

/** @throws BAD_USER_INPUT for too many images */
export function checkImages(messages: { parts?: MessagePart[] | undefined }[]): void {
  const images = messages.flatMap(({ parts = [] }) => parts.filter(({ type }) => type === "image"));
  if (images.length > imagesMax) throw wrong(`messages must have at most ${imagesMax} images.`);
}

export function textOf(parts: MessagePart[]): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

export function hasImages(messages: { parts?: MessagePart[] | undefined }[]): boolean {
  return messages.some(({ parts }) => parts !== undefined);
}

function readImage(url: string): ImagePart {
  const [, mediaType = "", data = ""] = dataUrl.exec(url) ?? [];
  const beginning = Object.hasOwn(beginnings, mediaType) ? beginnings[mediaType] : undefined;
  if (!beginning)
    throw wrong("image must be a base64 data URL of a PNG, JPEG, GIF or WebP. Other URLs are not fetched.");
  const bytes = (data.length / 4) * 3;
  if (bytes > imageBytesMax) throw new AppError("INPUT_TOO_LARGE", { details: { limitBytes: imageBytesMax, bytes } });
  if (!beginning.test(data)) throw wrong(`image must be a valid file of its media type ${mediaType}.`);
  return { type: "image", mediaType, data };
}

function wrong(message: string): Error {
  return badInput(message, { field: "messages" });
}
