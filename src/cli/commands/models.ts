import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { printObject, printRows } from "../print.ts";
import type { Session } from "../session.ts";
import { readList } from "./keys.ts";

export function addModelCommands(program: Command, session: Session): void {
  const models = program.command("models").description("models: list, price, suggest, import, preset, alias, service");
  addList(models, session);
  addPrice(models, session);
  addSuggest(models, session);
  addImport(models, session);
  addPreset(models, session);
  addAlias(models, session);
  addService(models, session);
}

function addList(models: Command, session: Session): void {
  const columns = ["name", "provider", "enabled", "maxOutputTokens"];
  models
    .command("list")
    .description("list the models")
    .addHelpText("after", "\nExample:\n  tollgate models list")
    .action(() =>
      session(async ({ run, output }) => {
        printRows(output, (await run(`{ models { ${columns.join(" ")} } }`)).models, columns);
      }),
    );
}

function addPrice(models: Command, session: Session): void {
  models
    .command("price <model>")
    .description("add a version of a model's price; earlier ones stay")
    .option("--multiplier <factor>", "of the credits that a call costs before its tokens")
    .option("--input-credits-per-million <credits>", "of input tokens")
    .option("--output-credits-per-million <credits>", "of output tokens")
    .option("--input-usd-per-million <usd>", "what the provider takes for input tokens")
    .option("--output-usd-per-million <usd>", "what the provider takes for output tokens")
    .addHelpText(
      "after",
      "\nExample:\n  tollgate models price llama3.2:1b --multiplier 2 --output-credits-per-million 100",
    )
    .action((model: string, options: Record<string, string>) =>
      session(async ({ run, output }) => {
        const price =
          "mutation ($input: SetModelPriceInput!) { setModelPrice(input: $input) { version effectiveFrom } }";
        printObject(output, { model, ...(await run(price, { input: { model, ...options } })).setModelPrice });
      }),
    );
}

function addSuggest(models: Command, session: Session): void {
  models
    .command("suggest <model>")
    .description("what a model costs elsewhere; sets nothing")
    .addHelpText("after", "\nExample:\n  tollgate models suggest gpt-4o-mini")
    .action((model: string) =>
      session(async ({ run, output, refuse }) => {
        const rates = "inputUsdPerMillion cachedInputUsdPerMillion outputUsdPerMillion isTiered contextLength";
        const suggest = `query ($model: String!) { suggestModelPrice(model: $model) { matchedProvider matchedModel ${rates} } }`;
        const { suggestModelPrice: found } = await run(suggest, { model });
        if (!found) return refuse("NOT_FOUND", "Nobody is known to sell this model.");
        printObject(output, { model, ...found });
      }),
    );
}

function addImport(models: Command, session: Session): void {
  models
    .command("import <provider>")
    .description("add the models that a service lists; they have no price unless one is given")
    .option("--only <list>", "the service's own names, by comma", readList)
    .option("--prefix <text>", "goes before each name, e.g. groq/")
    .option("--multiplier <factor>", "prices them: 1 is one credit a call")
    .addHelpText("after", "\nExample:\n  tollgate models import ollama --multiplier 1")
    .action((provider: string, { multiplier, ...rest }: { multiplier?: string; only?: string[]; prefix?: string }) =>
      session(async ({ run, output }) => {
        const add = "mutation ($input: ImportModelsInput!) { importModels(input: $input) { added known skipped } }";
        const price = multiplier === undefined ? undefined : { multiplier };
        const { importModels: made } = await run(add, { input: { provider, price, ...rest } });
        if (output.json) return printObject(output, made);
        const rows = Object.entries(made as Record<string, string[]>).flatMap(([what, names]) =>
          names.map((name) => ({ name, what })),
        );
        printRows(output, rows, ["name", "what"]);
      }),
    );
}

function addPreset(models: Command, session: Session): void {
  models
    .command("preset <name>")
    .description("add or change a preset: a model with a system text and parameters of its own")
    .option("--base <model>", "the model that it runs on; required for a new one")
    .option("--system <text>", "instructions that go before everything else")
    .option("--temperature <number>", "0 to 2", Number)
    .option("--lock <list>", "what callers may not override, e.g. SYSTEM,TEMPERATURE", readList)
    .addHelpText("after", '\nExample:\n  tollgate models preset mario --base llama3.2:1b --system "You are Mario."')
    .action((name: string, options: { base?: string; system?: string; temperature?: number; lock?: string[] }) =>
      session(async ({ run, output }) => {
        const { temperature, lock: locked, ...rest } = options;
        const parameters = temperature === undefined ? undefined : { temperature };
        const set =
          "mutation ($input: UpsertPresetInput!) { upsertPreset(input: $input) { name base provider locked enabled } }";
        printObject(output, (await run(set, { input: { name, parameters, locked, ...rest } })).upsertPreset);
      }),
    );
}

function addAlias(models: Command, session: Session): void {
  models
    .command("alias <name> <targets>")
    .description("point a further name at a model, or at several by weight")
    .addHelpText(
      "after",
      "\nExamples:\n  tollgate models alias best gpt-4o\n  tollgate models alias chat gpt-4o=3,claude=1",
    )
    .action((name: string, targets: string) =>
      session(async ({ run, output }) => {
        const set =
          "mutation ($input: UpsertModelAliasInput!) { upsertModelAlias(input: $input) { name targets { model weight } } }";
        const made = (await run(set, { input: { name, targets: readList(targets).map(readTarget) } })).upsertModelAlias;
        if (output.json) return printObject(output, made);
        printRows(output, made.targets, ["model", "weight"]);
      }),
    );
}

function addService(models: Command, session: Session): void {
  models
    .command("service <name>")
    .description("add or change a service on which models run")
    .option("--base-url <url>", "where it is, e.g. https://api.example.com/v1; required for a new one")
    .option("--kind <kind>", "OPENAI_COMPATIBLE, OLLAMA or ANTHROPIC")
    .option("--key-file <path>", "a file with its key; - for standard input")
    .addHelpText(
      "after",
      "\nExample:\n  tollgate models service groq --base-url https://api.groq.com/openai/v1 --key-file -",
    )
    .action((name: string, { baseUrl, kind, keyFile }: { baseUrl?: string; kind?: string; keyFile?: string }) =>
      session(async ({ run, output }) => {
        const apiKey = keyFile === undefined ? undefined : readFileSync(keyFile === "-" ? 0 : keyFile, "utf8").trim();
        const set =
          "mutation ($input: UpsertModelServiceInput!) { upsertModelService(input: $input) { name kind baseUrl hasKey } }";
        printObject(output, (await run(set, { input: { name, baseUrl, kind, apiKey } })).upsertModelService);
      }),
    );
}

/** `model` or `model=weight`. */
function readTarget(text: string): { model: string; weight: number } {
  const [model = "", weight = "1"] = text.split("=");
  return { model, weight: Number(weight) };
}
