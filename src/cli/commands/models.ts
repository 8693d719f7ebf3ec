import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { printObject, printRows } from "../print.ts";
import type { CommandSession } from "../session.ts";
import { readList } from "./keys.ts";

export function addModelCommands(program: Command, session: CommandSession): void {
  const models = program
    .command("models")
    .description("list, price or import models; set presets, aliases and services");
  addList(models, session);
  addPrice(models, session);
  addSuggest(models, session);
  addImport(models, session);
  addPreset(models, session);
  addAlias(models, session);
  addService(models, session);
}

function addList(models: Command, session: CommandSession): void {
  const columns = ["name", "provider", "enabled", "maxOutputTokens"];
  models
    .command("list")
    .description("list models and presets, sorted by name")
    .addHelpText("after", "\nExample:\n  tollgate models list")
    .action(() =>
      session(async ({ run, output }) => {
        printRows(output, (await run(`{ models { ${columns.join(" ")} } }`)).models, columns);
      }),
    );
}

function addPrice(models: Command, session: CommandSession): void {
  models
    .command("price <model>")
    .description("set the price of a model by adding a version; earlier versions stay")
    .option("--multiplier <factor>", "factor for the base price of a call (default: 1)")
    .option("--input-credits-per-million <credits>", "credits for a million input tokens (default: 0)")
    .option("--output-credits-per-million <credits>", "credits for a million output tokens (default: 0)")
    .option("--input-usd-per-million <usd>", "provider's cost in USD for a million input tokens (default: 0)")
    .option("--output-usd-per-million <usd>", "provider's cost in USD for a million output tokens (default: 0)")
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

function addSuggest(models: Command, session: CommandSession): void {
  models
    .command("suggest <model>")
    .description("suggest rates for a model from a public price list; sets nothing")
    .addHelpText("after", "\nExample:\n  tollgate models suggest gpt-4o-mini")
    .action((model: string) =>
      session(async ({ run, output, refuse }) => {
        const rates = "inputUsdPerMillion cachedInputUsdPerMillion outputUsdPerMillion isTiered contextLength";
        const suggest = `query ($model: String!) { suggestModelPrice(model: $model) { matchedProvider matchedModel ${rates} } }`;
        const { suggestModelPrice: found } = await run(suggest, { model });
        if (!found) return refuse("NOT_FOUND", "The price list does not have this model.");
        printObject(output, { model, ...found });
      }),
    );
}

function addImport(models: Command, session: CommandSession): void {
  models
    .command("import <provider>")
    .description("import the models that a provider lists; without --multiplier they have no price")
    .option("--only <list>", "comma-separated names at the provider (default: all)", readList)
    .option("--prefix <text>", "prefix for each name in the catalogue, e.g. groq/ (default: none)")
    .option("--multiplier <factor>", "price factor; 1 is one credit a call (default: no price)")
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

function addPreset(models: Command, session: CommandSession): void {
  models
    .command("preset <name>")
    .description("create or update a preset: a model with a system text and parameters of its own")
    .option("--base <model>", "model that the preset is based on; required for a new preset")
    .option("--system <text>", "system text: instructions that are sent before all messages (default: the base's)")
    .option("--temperature <number>", "sampling temperature, 0 to 2 (default: the base's)", Number)
    .option(
      "--lock <list>",
      "comma-separated parameters that callers must not set, e.g. SYSTEM,TEMPERATURE (default: none)",
      readList,
    )
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

function addAlias(models: Command, session: CommandSession): void {
  models
    .command("alias <name> <targets>")
    .description("create or update an alias: another name for a model, or for several by weight")
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

function addService(models: Command, session: CommandSession): void {
  models
    .command("service <name>")
    .description("create or update a model service, the endpoint of a provider")
    .option("--base-url <url>", "base URL, e.g. https://api.example.com/v1; required for a new service")
    .option("--kind <kind>", "OPENAI_COMPATIBLE, OLLAMA or ANTHROPIC (default: OPENAI_COMPATIBLE)")
    .option("--key-file <path>", "file with the service's API key, or - for standard input (default: no key)")
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
