import { z } from "zod";

/** Settings that are lists, and the services among them. */
export const list = z.string().transform((text) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean),
);
export const url = z.url({ protocol: /^https?$/ });

/** Names of providers that are configured by settings of their own. */
export const reservedServices = ["echo", "ollama", "anthropic"];

export const services = list
  .transform((parts, ctx) =>
    parts.map((part) => {
      const [name = "", baseUrl = ""] = part.split(/=(.*)/s);
      if (!/^[a-z][a-z0-9-]{0,31}$/.test(name) || !url.safeParse(baseUrl).success) {
        ctx.addIssue(`"${part}" is not of the form name=https://host/v1`);
      }
      return { name, baseUrl };
    }),
  )
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "names must differ")
  .refine(
    (all) => all.every(({ name }) => !reservedServices.includes(name)),
    `${reservedServices.join(", ")} are taken`,
  );
