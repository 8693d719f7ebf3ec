import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Files of an archive: JSON lines, compressed by gzip, with the SHA-256 of the file as it lies on the disk. */
export interface WrittenFile {
  file: string;
  sha256: string;
  bytes: bigint;
}

/** All of it or nothing: the file gets its name when it is complete and on the disk. */
export async function writeArchive(folder: string, name: string, chunks: AsyncIterable<string>): Promise<WrittenFile> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, name);
  const part = `${file}.${randomBytes(4).toString("hex")}.part`;
  const hash = createHash("sha256");
  let bytes = 0n;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += BigInt(chunk.length);
      done(null, chunk);
    },
  });
  try {
    await pipeline(Readable.from(chunks), createGzip(), count, createWriteStream(part, { mode: 0o600 }));
    const written = await open(part);
    await written.sync().finally(() => written.close());
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return { file, sha256: hash.digest("hex"), bytes };
}

/** Undefined when there is no such file here. */
export async function hashOfFile(file: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return hash.digest("hex");
}
