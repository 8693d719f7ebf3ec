import { ArgsType, type ClassType, Field, Int, ObjectType } from "type-graphql";
import { badInput } from "../errors.ts";

export const pageSizeMax = 100;
const pageSizeDefault = 50;

@ArgsType()
export class PageArgs {
  @Field(() => Int, {
    nullable: true,
    defaultValue: pageSizeDefault,
    description: "The number of items per page, 1 to 100.",
  })
  first!: number;

  @Field(() => String, {
    nullable: true,
    description: "The cursor after which the page starts: `pageInfo.endCursor` of the previous page.",
  })
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
  /** Where the next page starts, unless after the last row: a search may end before it has found enough rows. */
  endId?: string;
}

export function readPage({ first, after }: { first?: number | null; after?: string | null }): PageRequest {
  const limit = first ?? pageSizeDefault;
  if (limit < 1 || limit > pageSizeMax) throw badInput(`first must be between 1 and ${pageSizeMax}.`);
  return { limit, beforeId: after == null ? undefined : readCursor(after) };
}

/** Stores read one row more than requested: if it exists, there is a next page. */
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

@ObjectType({ description: "Information about a page of a list." })
export class PageInfo {
  @Field(() => Boolean, { description: "Whether a next page exists." })
  hasNextPage!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "The cursor for `after` of the next page; null on an empty last page.",
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
    @Field(() => String, { description: "The cursor of this node, for `after`." })
    cursor!: string;

    @Field(() => node, { description: `The ${name} itself.` })
    node!: N;
  }

  @ObjectType(`${name}Connection`, { description: `A page of a list of ${name}, newest first.` })
  class NodeConnection {
    @Field(() => [Edge], { description: "The nodes with a cursor for each." })
    edges!: Edge[];

    @Field(() => [node], { description: "The nodes without their cursors." })
    nodes!: N[];

    @Field(() => PageInfo, { description: "Information about this page." })
    pageInfo!: PageInfo;
  }
  return NodeConnection;
}
