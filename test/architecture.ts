import { posix } from "node:path";
import ts from "typescript";

/**
 * The rules of the source tree as a pure function: files in, violations out. It parses and never type-checks, so that
 * it stays quick, and it knows nothing of the disk, so that its test can plant one violation of each rule.
 */
export interface TreeFile {
  /** From the root of the project, with `/`: `src/keys/store.ts`. */
  path: string;
  text: string;
}

export interface Violation {
  rule: string;
  file: string;
  line: number;
  detail: string;
}

// ---- The decisions, as data. Paths below are seen from src/.

/** Any root file that is not named in a layer; it may import only others of its kind. */
const LEAF = "a root leaf file";

/** From the top; a line imports only lines below it. Those of one line are siblings. */
const featureLayers = [
  ["generation", "finance"],
  ["usage", "retention", "prompts", "credits", "limits", "guard", "models", "keys"],
  ["ledger"],
  ["accounts", "audit", "alerts"],
  ["auth"],
];
const features = featureLayers.flat();
const layers = [
  ["main.ts", "cli.ts"],
  ["cli"],
  ["app.ts"],
  ["first-run.ts"],
  ["http"],
  ...featureLayers,
  ["outbound"],
  ["graphql", "db"],
  ["tasks", "config"],
  [LEAF],
];

const stores = ["<feature>/**/store.ts", "<feature>/**/sql/**"];

interface Door {
  /** A name covers its subpaths; `@scope/*` covers a scope. */
  packages: string[];
  files: string[];
}

const doors: Door[] = [
  {
    packages: ["type-graphql"],
    files: ["*/**/types.ts", "*/**/inputs.ts", "*/**/inputs/**", "*/**/resolver.ts", "graphql/**", "app.ts"],
  },
  { packages: ["drizzle-orm", "postgres"], files: [...stores, "db/**"] },
  { packages: ["jose"], files: ["auth/**"] },
  { packages: ["bcrypt"], files: ["auth/sign-in/passwords.ts", "keys/secret.ts"] },
  { packages: ["undici"], files: ["outbound/**"] },
  { packages: ["@ai-sdk/*"], files: ["models/providers/**"] },
  // http/ answers requests; outbound/ sends them.
  { packages: ["http", "https", "http2"], files: ["outbound/**", "http/**"] },
  { packages: ["ajv"], files: ["guard/**"] },
  { packages: ["dataloader"], files: ["graphql/loaders.ts"] },
  { packages: ["graphql-rate-limit-directive"], files: ["graphql/directives/**"] },
  { packages: ["rate-limiter-flexible"], files: ["graphql/directives/**", "limits/**"] },
  {
    packages: ["fastify", "@fastify/*", "@as-integrations/*", "@apollo/server"],
    files: ["http/**", "graphql/**", "app.ts"],
  },
  { packages: ["prom-client"], files: ["http/metrics.ts"] },
  { packages: ["csv-parse"], files: ["keys/import/file.ts", "finance/invoices/csv.ts"] },
  { packages: ["commander"], files: ["cli.ts", "cli/**"] },
  { packages: ["ioredis"], files: ["limits/**"] },
  { packages: ["ws", "graphql-ws"], files: ["http/**"] },
  {
    packages: ["zod"],
    files: [
      ...["config/environment.ts", "config/service-list.ts", "config/oidc-schema.ts", "keys/import/schema.ts"],
      ...["http/rest/chat-schema.ts", "http/rest/embeddings-schema.ts"],
      ...["ollama", "openai-chat", "openai-compatible", "anthropic"].map((name) => `models/providers/${name}.ts`),
    ],
  },
  { packages: ["reflect-metadata"], files: ["main.ts", "cli.ts", "app.ts", "graphql/**"] },
  { packages: ["pino"], files: ["http/**", "app.ts", "main.ts", "log.ts"] },
];

/** The global `fetch`: outbound/ sends the server's requests, and the command line is a client of the server. */
const fetchDoor = ["outbound/**", "cli/connection.ts"];

/** Values that stand in one table, which gives them their names. */
const tables: { values: RegExp; isText?: boolean; what: string; file: string }[] = [
  { values: /^7461\d{3}$/, what: "the number of an advisory lock", file: "db/lock-numbers.ts" },
  {
    // The classes of SQLSTATE, which keep sizes such as "128MB" out.
    values: /^(0[0-9A-Z]|2[0-8BDF]|3[489BDF]|4[024]|5[34578])[0-9A-Z]{3}$/,
    isText: true,
    what: "an SQLSTATE code",
    file: "db/sql-states.ts",
  },
  {
    values: /^(key\.leaked|key\.rotation_due|wallet\.low_balance|ledger\.broken|retention\.failed)$/,
    what: "a kind of alert",
    file: "alerts/kinds.ts",
  },
  { values: /^tollgate_changes$/, what: "the channel of the change feed", file: "db/change-feed.ts" },
];

/** Outside `db/`, what runs there is called only from here; the type of the executor is for everyone. */
const dbCallers = [...stores, "app.ts", "cli.ts", "cli/direct.ts"];
/** Reading what a database error means runs no SQL, so a service may do it. */
const dbForAll = "src/db/errors.ts";

type Role = "types" | "resolver" | "service" | "store";
const roleMayNotImport: Record<Role, Role[]> = {
  resolver: ["store"],
  service: ["resolver"],
  store: ["service", "resolver"],
  types: ["service", "store", "resolver"],
};

/** Their errors are translated by the feature that calls them. */
const throwFreely = ["models/providers/**"];

const vagueName = /^(utils?|helpers?|common|shared|misc|managers?)$/i;
/** A file named `types`, `resolver`, `service` or `store` says its subject by its folder. */
const roleSuffix = /-(types|resolver|service|store)$/;
const folderFilesMax = 16;
const rootFilesMax = 12;
const fileLinesMax = 300;
const fileLinesFree = ["db/tables/*.ts"];
const functionLinesMax = 70;
const resolverLinesMax = 10;
const mapLinesMax = 119;

// ---- Reading the tree

interface Edge {
  file: string;
  line: number;
  specifier: string;
  /** The imported file, when the specifier is relative. */
  target: string | undefined;
  typeOnly: boolean;
}

interface Module extends TreeFile {
  ast: ts.SourceFile;
  byKind: Map<ts.SyntaxKind, ts.Node[]>;
  edges: Edge[];
}

interface Tree {
  /** Every file of src, code or not. */
  files: TreeFile[];
  modules: Module[];
  map: TreeFile | undefined;
}

type Found = Omit<Violation, "rule">;

const matches = (path: string, patterns: string[]): boolean => patterns.some((pattern) => glob(pattern).test(path));

const globs = new Map<string, RegExp>();
function glob(pattern: string): RegExp {
  const known = globs.get(pattern);
  if (known) return known;
  const wild: Record<string, string> = {
    "<feature>": `(?:${features.join("|")})`,
    "**/": "(?:.*/)?",
    "**": ".*",
    "*": "[^/]*",
    ".": "\\.",
  };
  const made = new RegExp(`^src/${pattern.replace(/<feature>|\*\*\/|\*\*|\*|\./g, (sign) => wild[sign] ?? sign)}$`);
  globs.set(pattern, made);
  return made;
}

const unitOf = (path: string): string => {
  const [, first = "", inside] = path.split("/");
  return inside !== undefined || layers.some((layer) => layer.includes(first)) ? first : LEAF;
};
const rankOf = (unit: string): number => layers.findIndex((layer) => layer.includes(unit));
const isFeature = (unit: string): boolean => features.includes(unit);
const areSiblings = (a: string, b: string): boolean => a !== b && isFeature(a) && rankOf(a) === rankOf(b);

function roleOf(path: string): Role | undefined {
  if (!isFeature(unitOf(path))) return undefined;
  if (matches(path, stores)) return "store";
  if (/\/inputs(\.ts$|\/)/.test(path)) return "types";
  return /\/(types|resolver|service)\.ts$/.exec(path)?.[1] as Role | undefined;
}

const lineOf = (module: Module, node: ts.Node): number =>
  module.ast.getLineAndCharacterOfPosition(node.getStart(module.ast)).line + 1;
const endLineOf = (module: Module, node: ts.Node): number =>
  module.ast.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
const countLines = (text: string): number => text.replace(/\n$/, "").split("\n").length;

/** Where a node names another module: the node of the name (or what stands in its place), and whether only for types. */
function importOf(node: ts.Node): { name: ts.Node | undefined; typeOnly: boolean } | undefined {
  // `import { type A }` still loads the module (verbatimModuleSyntax), so only `import type` counts as types.
  if (ts.isImportDeclaration(node)) {
    return { name: node.moduleSpecifier, typeOnly: node.importClause?.isTypeOnly ?? false };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
    return { name: node.moduleSpecifier, typeOnly: node.isTypeOnly };
  }
  if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
    return { name: node.moduleReference.expression, typeOnly: node.isTypeOnly };
  }
  if (ts.isImportTypeNode(node)) {
    return { name: ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, typeOnly: true };
  }
  if (!ts.isCallExpression(node)) return undefined;
  const called = node.expression;
  const loads = called.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(called) && called.text === "require");
  return loads ? { name: node.arguments[0], typeOnly: false } : undefined;
}

/** Comments are not read: no rule looks at them, and reading them takes a third of the time. */
const syntaxOnly: ts.CreateSourceFileOptions = {
  languageVersion: ts.ScriptTarget.Latest,
  jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
};

/** Every kind of node that `importOf` knows. */
const importKinds = [
  ts.SyntaxKind.ImportDeclaration,
  ts.SyntaxKind.ExportDeclaration,
  ts.SyntaxKind.ImportEqualsDeclaration,
  ts.SyntaxKind.ImportType,
  ts.SyntaxKind.CallExpression,
];

const nodesOf = ({ byKind }: Module, kinds: readonly ts.SyntaxKind[]): ts.Node[] =>
  kinds.flatMap((kind) => byKind.get(kind) ?? []);

function parse({ path, text }: TreeFile): Module {
  const ast = ts.createSourceFile(path, text, syntaxOnly, true);
  const module: Module = { path, text, ast, byKind: new Map(), edges: [] };
  const visit = (node: ts.Node): void => {
    const same = module.byKind.get(node.kind);
    if (same) same.push(node);
    else module.byKind.set(node.kind, [node]);
    ts.forEachChild(node, visit);
  };
  visit(ast);
  for (const node of nodesOf(module, importKinds)) {
    const found = importOf(node);
    if (!found?.name || !ts.isStringLiteralLike(found.name)) continue;
    const specifier = found.name.text;
    // `./a.js` reaches a.ts as well, and must not hide an import from the rules.
    const target = specifier.startsWith(".")
      ? posix.join(posix.dirname(path), specifier).replace(/\.([cm]?)js$/, ".$1ts")
      : undefined;
    module.edges.push({ file: path, line: lineOf(module, node), specifier, target, typeOnly: found.typeOnly });
  }
  return module;
}

function inEachEdge(judge: (edge: Edge, tree: Tree) => string | undefined) {
  return (tree: Tree): Found[] =>
    tree.modules
      .flatMap((module) => module.edges)
      .flatMap((edge) => {
        const detail = judge(edge, tree);
        return detail === undefined ? [] : [{ file: edge.file, line: edge.line, detail }];
      });
}

/** Judges only nodes of the given kinds: a rule that looked at each of some 300,000 nodes would take most of the time. */
function inEachNode(
  kinds: readonly ts.SyntaxKind[],
  judge: (node: ts.Node, module: Module, tree: Tree) => string | undefined,
) {
  return (tree: Tree): Found[] =>
    tree.modules.flatMap((module) =>
      nodesOf(module, kinds).flatMap((node) => {
        const detail = judge(node, module, tree);
        return detail === undefined ? [] : [{ file: module.path, line: lineOf(module, node), detail }];
      }),
    );
}

function inEachFile(judge: (file: TreeFile) => string | undefined) {
  return (tree: Tree): Found[] =>
    tree.files.flatMap((file) => {
      const detail = judge(file);
      return detail === undefined ? [] : [{ file: file.path, line: 1, detail }];
    });
}

// ---- Rules about who imports whom

const unknownFolder = inEachFile(({ path }) => {
  const unit = unitOf(path);
  return rankOf(unit) < 0 ? `${unit}/ has no place in the layers of test/architecture.ts` : undefined;
});

const folderOrder = inEachEdge(({ file, target }) => {
  if (target === undefined) return undefined;
  if (!target.startsWith("src/")) return `src imports ${target}, which is outside src`;
  const [from, to] = [unitOf(file), unitOf(target)];
  if (from === to || areSiblings(from, to) || rankOf(from) < 0 || rankOf(to) < 0) return undefined;
  if (rankOf(from) >= rankOf(to)) return `${from} may not import ${to}: data flows the other way`;
  // app.ts is the one place where everything meets; cli.ts runs the same services.
  if (from === "main.ts" && !["config", "tasks"].includes(to) && /\/.*\//.test(target))
    return `main.ts sees only root files, not ${to}/`;
  return undefined;
});

const isWork = (path: string): boolean => ["service", "resolver", "store"].includes(roleOf(path) ?? "");

/** What a module brings along when it runs: the first service, resolver or store behind it. */
function workBehind(path: string, tree: Tree, seen = new Set<string>()): string | undefined {
  if (isWork(path)) return path;
  if (seen.has(path)) return undefined;
  seen.add(path);
  for (const { target, typeOnly } of tree.modules.find((module) => module.path === path)?.edges ?? []) {
    const behind = target !== undefined && !typeOnly ? workBehind(target, tree, seen) : undefined;
    if (behind) return behind;
  }
  return undefined;
}

const siblingDoor = inEachEdge(({ file, target, typeOnly }, tree) => {
  if (target === undefined || !areSiblings(unitOf(file), unitOf(target))) return undefined;
  if (isWork(target)) return `siblings share only types and pure modules, not ${target}`;
  const behind = typeOnly ? undefined : workBehind(target, tree);
  return behind && `${target} is not pure: it brings along ${behind}`;
});

function mutualSiblings(tree: Tree): Found[] {
  const firstEdges = new Map<string, Edge>();
  for (const edge of tree.modules.flatMap((module) => module.edges)) {
    if (edge.target === undefined || edge.typeOnly || roleOf(edge.target) === "types") continue;
    const [from, to] = [unitOf(edge.file), unitOf(edge.target)];
    if (areSiblings(from, to) && !firstEdges.has(`${from} ${to}`)) firstEdges.set(`${from} ${to}`, edge);
  }
  return [...firstEdges].flatMap(([pair, { file, line, target }]) => {
    const [from = "", to = ""] = pair.split(" ");
    const back = firstEdges.get(`${to} ${from}`);
    if (!back || from > to) return [];
    return [{ file, line, detail: `${from}/ imports ${target}, and ${back.file}:${back.line} imports ${back.target}` }];
  });
}

function importCycle(tree: Tree): Found[] {
  const modules = new Map(tree.modules.map((module) => [module.path, module]));
  const done = new Set<string>();
  const found: Found[] = [];
  const visit = (path: string, trail: string[]): void => {
    for (const { file, line, target, typeOnly } of modules.get(path)?.edges ?? []) {
      if (typeOnly || target === undefined || !modules.has(target) || done.has(target)) continue;
      const start = [...trail, path].indexOf(target);
      if (start < 0) visit(target, [...trail, path]);
      else found.push({ file, line, detail: [...[...trail, path].slice(start), target].join(" -> ") });
    }
    done.add(path);
  };
  for (const path of modules.keys()) if (!done.has(path)) visit(path, []);
  return found;
}

const roleDirection = inEachEdge(({ file, target, typeOnly }) => {
  const [from, to] = [roleOf(file), target === undefined ? undefined : roleOf(target)];
  if (!from || !to || !roleMayNotImport[from].includes(to)) return undefined;
  // The shape of a row, or of what the service beside it answers, is what a wire type is made from.
  if (typeOnly && from === "types" && to === "store") return undefined;
  if (typeOnly && from === "types" && to === "service" && posix.dirname(file) === posix.dirname(target ?? "")) {
    return undefined;
  }
  return `a file of role ${from} may not import ${target}`;
});

const databaseDoor = inEachEdge(({ file, target, typeOnly }) => {
  if (typeOnly || target === undefined || unitOf(target) !== "db" || unitOf(file) === "db") return undefined;
  if (target === dbForAll) return undefined;
  return matches(file, dbCallers) ? undefined : `only a store may run ${target}; others write \`import type\``;
});

const packageDoor = inEachEdge(({ file, specifier, target }) => {
  if (target !== undefined) return undefined;
  const [scopeOrName = "", inScope] = specifier.replace(/^node:/, "").split("/");
  const names = scopeOrName.startsWith("@") ? [`${scopeOrName}/${inScope}`, `${scopeOrName}/*`] : [scopeOrName];
  const door = doors.find(({ packages }) => names.some((name) => packages.includes(name)));
  if (!door || matches(file, door.files)) return undefined;
  return `${names[0]} is imported only in ${door.files.join(", ")}`;
});

const opaqueImport = inEachNode(importKinds, (node) => {
  const found = importOf(node);
  if (!found || (found.name && ts.isStringLiteralLike(found.name))) return undefined;
  return "what is imported must be readable: write its name out";
});

const namesProcess = (node: ts.Node | undefined): boolean => /(^|[.:"'])process["']?$/.test(node?.getText() ?? "");
const namesEnv = ({ propertyName, name }: ts.BindingElement | ts.ImportSpecifier): boolean =>
  (propertyName ?? name).getText() === "env";

function readsEnvironment(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return node.name.text === "env" && namesProcess(node.expression);
  if (ts.isElementAccessExpression(node)) {
    return (
      ts.isStringLiteralLike(node.argumentExpression) &&
      node.argumentExpression.text === "env" &&
      namesProcess(node.expression)
    );
  }
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    return namesProcess(node.initializer) && node.name.elements.some(namesEnv);
  }
  return ts.isImportSpecifier(node) && namesEnv(node) && namesProcess(node.parent.parent.parent.moduleSpecifier);
}

const environmentKinds = [
  ts.SyntaxKind.PropertyAccessExpression,
  ts.SyntaxKind.ElementAccessExpression,
  ts.SyntaxKind.VariableDeclaration,
  ts.SyntaxKind.ImportSpecifier,
];

const environmentDoor = inEachNode(environmentKinds, (node, { path }) =>
  unitOf(path) !== "config" && readsEnvironment(node) ? "only config/ reads the environment" : undefined,
);

/** `fetch` as a value of its own or of a global object; a member of another object and a type are none. */
function namesGlobalFetch(node: ts.Node): boolean {
  const isMember = ts.isPropertyAccessExpression(node.parent) && node.parent.name === node;
  if (isMember) return isGlobalObject((node.parent as ts.PropertyAccessExpression).expression);
  if (ts.isStringLiteralLike(node)) {
    return ts.isElementAccessExpression(node.parent) && isGlobalObject(node.parent.expression);
  }
  if (ts.isBindingElement(node.parent)) {
    const declared = ts.findAncestor(node, ts.isVariableDeclaration);
    return declared?.initializer !== undefined && isGlobalObject(declared.initializer);
  }
  if (ts.isShorthandPropertyAssignment(node.parent)) return true;
  if (ts.isQualifiedName(node.parent) || ts.isTypeQueryNode(node.parent)) return false;
  return ts.isExpression(node) && !("name" in node.parent && node.parent.name === node);
}

const isGlobalObject = (node: ts.Node): boolean => /^(globalThis|global|self|window)$/.test(node.getText());

const fetchKinds = [ts.SyntaxKind.Identifier, ts.SyntaxKind.StringLiteral, ts.SyntaxKind.NoSubstitutionTemplateLiteral];

const fetchOnlyOutbound = inEachNode(fetchKinds, (node, { path }) => {
  if (!(ts.isIdentifier(node) || ts.isStringLiteralLike(node)) || node.text !== "fetch") return undefined;
  if (matches(path, fetchDoor) || !namesGlobalFetch(node)) return undefined;
  return `requests are sent only in ${fetchDoor.join(", ")}`;
});

const textKinds = [
  ts.SyntaxKind.NumericLiteral,
  ts.SyntaxKind.StringLiteral,
  ts.SyntaxKind.NoSubstitutionTemplateLiteral,
  ts.SyntaxKind.TemplateHead,
  ts.SyntaxKind.TemplateMiddle,
  ts.SyntaxKind.TemplateTail,
];

/** The value of a literal, and of an SQL text the texts and numbers in it. */
const valuesIn = (node: ts.Node): string[] => {
  const { text } = node as ts.LiteralLikeNode;
  return ts.isNumericLiteral(node) || ts.isStringLiteral(node) ? [text] : [text, ...(text.match(/[\w.]+/g) ?? [])];
};

const namedValue = inEachNode(textKinds, (node, { path }) => {
  const values = valuesIn(node);
  const known = tables.filter(({ isText }) => !(isText && ts.isNumericLiteral(node)));
  const table = known.find((each) => values.some((value) => each.values.test(value)));
  return table && path !== `src/${table.file}` ? `${table.what} is named in ${table.file}` : undefined;
});

// ---- Rules about a file and its names

const exportKinds = [
  ts.SyntaxKind.ExportAssignment,
  ts.SyntaxKind.ExportSpecifier,
  ts.SyntaxKind.NamespaceExport,
  ts.SyntaxKind.DefaultKeyword,
];

const defaultExport = inEachNode(exportKinds, (node) => {
  const exportsDefault =
    ts.isExportAssignment(node) ||
    node.kind === ts.SyntaxKind.DefaultKeyword ||
    ((ts.isExportSpecifier(node) || ts.isNamespaceExport(node)) && node.name.text === "default");
  return exportsDefault ? "named exports only" : undefined;
});

const indexFile = inEachFile(({ path }) =>
  /\/index\.[cm]?[jt]sx?$/.test(path) ? "a file is named after what it holds" : undefined,
);

/** The names that a file's own declarations export; a type and a value of one name are one name. */
function exportedNames({ ast }: Module): { name: string; node: ts.Node }[] {
  return ast.statements.flatMap((statement) => {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.flatMap(({ name }) => boundNames(name));
    }
    const { name } = statement as ts.DeclarationStatement;
    return name ? [{ name: name.text, node: statement }] : [];
  });
}

function boundNames(name: ts.BindingName): { name: string; node: ts.Node }[] {
  if (ts.isIdentifier(name)) return [{ name: name.text, node: name }];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? boundNames(element.name) : []));
}

function doubledExport({ modules }: Tree): Found[] {
  const firstFiles = new Map<string, string>();
  return modules.flatMap((module) =>
    exportedNames(module).flatMap(({ name, node }) => {
      const first = firstFiles.get(name) ?? module.path;
      firstFiles.set(name, first);
      if (first === module.path) return [];
      return [{ file: module.path, line: lineOf(module, node), detail: `${first} exports ${name} as well` }];
    }),
  );
}

const barrel = (tree: Tree): Found[] =>
  tree.modules
    .filter(({ ast }) => ast.statements.some(ts.isExportDeclaration))
    .filter(({ ast }) => ast.statements.every((part) => ts.isExportDeclaration(part) || ts.isImportDeclaration(part)))
    .map(({ path }) => ({ file: path, line: 1, detail: "it only passes on what others hold: import from there" }));

const vagueNames = inEachFile(({ path }) => {
  const names = path.split("/").map((name) => name.replace(/\..*$/, ""));
  // The last word is the noun: `key-helpers` is vague, `shared-wallet` is not.
  const vague = names.find((name) => vagueName.test(name.split(/[-_]|(?<=[a-z])(?=[A-Z])/).at(-1) ?? ""));
  return vague && `"${vague}" says nothing about what is inside`;
});

const roleSuffixes = inEachFile(({ path }) => {
  const name = posix.basename(path).replace(/\..*$/, "");
  return roleSuffix.test(name) ? `"${name}": a role is a file of its own in the folder of its subject` : undefined;
});

function folderSize({ files }: Tree): Found[] {
  const folders = new Map<string, string[]>();
  for (const { path } of files) {
    const folder = posix.dirname(path);
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  return [...folders].flatMap(([folder, paths]) => {
    const most = folder === "src" ? rootFilesMax : folderFilesMax;
    const [first] = paths.slice(most);
    return first ? [{ file: first, line: 1, detail: `${folder}/ has ${paths.length} files, at most ${most}` }] : [];
  });
}

const fileLength = inEachFile(({ path, text }) => {
  const lines = countLines(text);
  return lines > fileLinesMax && !matches(path, fileLinesFree) ? `${lines} lines, at most ${fileLinesMax}` : undefined;
});

const functionKinds = [
  ts.SyntaxKind.FunctionDeclaration,
  ts.SyntaxKind.FunctionExpression,
  ts.SyntaxKind.ArrowFunction,
  ts.SyntaxKind.MethodDeclaration,
  ts.SyntaxKind.Constructor,
  ts.SyntaxKind.GetAccessor,
  ts.SyntaxKind.SetAccessor,
];

const functionLength = inEachNode(functionKinds, (node, module) => {
  if (!ts.isFunctionLike(node) || !("body" in node) || !node.body) return undefined;
  // From its name on: decorators and their descriptions are no code to follow.
  const lines = endLineOf(module, node) - lineOf(module, node.name ?? node) + 1;
  return lines > functionLinesMax ? `${lines} lines in one function, at most ${functionLinesMax}` : undefined;
});

const resolverLength = inEachNode([...functionKinds, ts.SyntaxKind.PropertyDeclaration], (node, module) => {
  if (!module.path.endsWith("/resolver.ts") || !ts.isClassElement(node)) return undefined;
  // A constructor wires and does not answer anyone.
  if (ts.isConstructorDeclaration(node)) return undefined;
  const made = ts.isPropertyDeclaration(node) ? node.initializer : node;
  const body = made && ts.isFunctionLike(made) && "body" in made ? made.body : undefined;
  if (!body) return undefined;
  const lines = endLineOf(module, body) - lineOf(module, body) + (ts.isBlock(body) ? -1 : 1);
  return lines > resolverLinesMax
    ? `${lines} lines of body, at most ${resolverLinesMax}: it only translates`
    : undefined;
});

// ---- What is thrown on purpose

const databaseErrors = (tree: Tree): string[] =>
  tree.modules
    .filter(({ path }) => unitOf(path) === "db")
    .flatMap((module) => nodesOf(module, [ts.SyntaxKind.ClassDeclaration]).filter(ts.isClassDeclaration))
    .filter(({ heritageClauses }) => heritageClauses?.some((clause) => /^extends \w*Error\b/.test(clause.getText())))
    .flatMap(({ name }) => name?.text ?? []);

function isDeliberate(thrown: ts.Expression, module: Module, allowed: string[]): boolean {
  const also = (other: ts.Expression): boolean => isDeliberate(other, module, allowed);
  if (ts.isParenthesizedExpression(thrown) || ts.isAsExpression(thrown) || ts.isAwaitExpression(thrown)) {
    return also(thrown.expression);
  }
  if (ts.isConditionalExpression(thrown)) return also(thrown.whenTrue) && also(thrown.whenFalse);
  if (ts.isBinaryExpression(thrown)) return also(thrown.left) && also(thrown.right);
  if (ts.isNewExpression(thrown)) return allowed.includes(thrown.expression.getText());
  // A call names what it makes (badInput, unknownKey); `Error("…")` without `new` is still an Error.
  if (ts.isCallExpression(thrown)) return !/(^|\.)[A-Z]\w*$/.test(thrown.expression.getText());
  if (!ts.isIdentifier(thrown)) return ts.isPropertyAccessExpression(thrown) || ts.isElementAccessExpression(thrown);
  const { text } = thrown;
  const catches = (node: ts.Node) => ts.isCatchClause(node) && node.variableDeclaration?.name.getText() === text;
  if (ts.findAncestor(thrown, catches)) return true;
  const variables = nodesOf(module, [ts.SyntaxKind.VariableDeclaration]).filter(ts.isVariableDeclaration);
  const made = variables.find(({ name }) => name.getText() === text)?.initializer;
  return !made || !ts.isNewExpression(made) || also(made);
}

function thrownErrors(tree: Tree): Found[] {
  const allowed = ["AppError", ...databaseErrors(tree)];
  return inEachNode([ts.SyntaxKind.ThrowStatement], (node, module) => {
    const { path } = module;
    if (!ts.isThrowStatement(node) || !isFeature(unitOf(path)) || matches(path, throwFreely)) return undefined;
    if (isDeliberate(node.expression, module, allowed)) return undefined;
    return `a feature throws AppError, not ${node.expression.getText().slice(0, 40)}`;
  })(tree);
}

// ---- The map

function mapOfTree({ files, map }: Tree): Found[] {
  const file = "ARCHITECTURE.md";
  if (!map) return [{ file, line: 1, detail: "it is missing" }];
  const lines = countLines(map.text);
  const long = lines > mapLinesMax ? [{ file, line: lines, detail: `${lines} lines, at most ${mapLinesMax}` }] : [];
  const folders = new Set(files.flatMap(({ path }) => path.split("/").slice(1, -1)));
  const unnamed = [...folders].filter((folder) => !new RegExp(`(?<![\\w-])${folder}/`).test(map.text));
  return [...long, ...unnamed.map((folder) => ({ file, line: 1, detail: `it does not name ${folder}/` }))];
}

export const rules = {
  "unknown-folder": unknownFolder,
  "folder-order": folderOrder,
  "sibling-door": siblingDoor,
  "mutual-siblings": mutualSiblings,
  "import-cycle": importCycle,
  "role-direction": roleDirection,
  "database-door": databaseDoor,
  "package-door": packageDoor,
  "opaque-import": opaqueImport,
  "environment-door": environmentDoor,
  "fetch-door": fetchOnlyOutbound,
  "named-value": namedValue,
  "default-export": defaultExport,
  "index-file": indexFile,
  "doubled-export": doubledExport,
  barrel,
  "vague-name": vagueNames,
  "role-suffix": roleSuffixes,
  "folder-size": folderSize,
  "file-length": fileLength,
  "function-length": functionLength,
  "resolver-length": resolverLength,
  "thrown-errors": thrownErrors,
  "map-of-tree": mapOfTree,
} satisfies Record<string, (tree: Tree) => Found[]>;

export type RuleName = keyof typeof rules;

export function findViolations(files: TreeFile[]): Violation[] {
  const inSrc = files.filter(({ path }) => path.startsWith("src/")).sort((a, b) => (a.path < b.path ? -1 : 1));
  const tree: Tree = {
    files: inSrc,
    modules: inSrc.filter(({ path }) => /\.[cm]?[jt]sx?$/.test(path)).map(parse),
    map: files.find(({ path }) => path === "ARCHITECTURE.md"),
  };
  return Object.entries(rules).flatMap(([rule, find]) => find(tree).map((found) => ({ rule, ...found })));
}
