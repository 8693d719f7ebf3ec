import { ArgsType, type ClassType, Field, Int, ObjectType } from "type-graphql";
import { badInput } from "../errors.ts";

export const pageSizeMax = 100;
const pageSizeDefault = 50;

@ArgsType()
export class PageArgs {
  @Field(() => Int, { nullable: true, defaultValue: pageSizeDefault, description: "How many, 1 to 100." })
  first!: number;

  @Field(() => String, { nullable: true, description: "The cursor after which to go on: `pageInfo.endCursor`." })
  after?: string | null;
}

/** What a store needs for one page: rows are ordered by id, newest first. */
export interface PageRequest {
  limit: number;
  beforeId: string | undefined;
}

export interface Page<T> {
  rows: T[];
  hasNextPage: boolean;
  /** Where the next page begins, when that is not behind the last row: a search may end before it has found enough. */
  endId?: string;
}

export function readPage({ first, after }: { first?: number | null; after?: string | null }): PageRequest {
  const limit = first ?? pageSizeDefault;
  if (limit < 1 || limit > pageSizeMax) throw badInput(`first must be between 1 and ${pageSizeMax}.`);
  return { limit, beforeId: after == null ? undefined : readCursor(after) };
}

/** Stores read one row more than asked for; whether it came tells if there is a next page. */
export function cutPage<T>(rows: T[], limit: number): Page<T> {
  return { rows: rows.slice(0, limit), hasNextPage: rows.length > limit };
}

function readCursor(text: string): string {
  const id = Buffer.from(text, "base64url").toString("latin1");
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) throw badInput("after is not a cursor of this list.");
  return id;
}

function writeCursor(id: string): string {
  return Buffer.from(id, "latin1").toString("base64url");
}

@ObjectType({ description: "Where a page of a list ends." })
export class PageInfo {
  @Field(() => Boolean, { description: "Whether there is more after this page." })
  hasNextPage!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "Give this as `after` for the next page. Null on an empty page behind which there is none.",
  })
  endCursor!: string | null;
}

export interface Connection<N> {
  edges: { cursor: string; node: N }[];
  nodes: N[];
  pageInfo: PageInfo;
}

export function toConnection<R extends { id: string }, N>(page: Page<R>, toNode: (row: R) => N): Connection<N> {
  const edges = page.rows.map((row) => ({ cursor: writeCursor(row.id), node: toNode(row) }));
  return {
    edges,
    nodes: edges.map(({ node }) => node),
    pageInfo: {
      hasNextPage: page.hasNextPage,
      endCursor: page.endId ? writeCursor(page.endId) : (edges.at(-1)?.cursor ?? null),
    },
  };
}

/** Declares the `…Edge` and `…Connection` types of a node type. */
export function connectionOf<N extends object>(node: ClassType<N>, name: string): ClassType<Connection<N>> {
  @ObjectType(`${name}Edge`, { description: `One ${name} in a list.` })
  class Edge {
    @Field(() => String, { description: "The place of this node in the list." })
    cursor!: string;

    @Field(() => node, { description: `The ${name} itself.` })
    node!: N;
  }

  @ObjectType(`${name}Connection`, { description: `A page of a list of ${name}, newest first.` })
  class NodeConnection {
    @Field(() => [Edge], { description: "The nodes with their cursors." })
    edges!: Edge[];

    @Field(() => [node], { description: "The nodes alone, for callers that need no cursor for each." })
    nodes!: N[];

    @Field(() => PageInfo, { description: "Where this page ends." })
    pageInfo!: PageInfo;
  }
  return NodeConnection;
}
