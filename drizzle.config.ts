import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  // Partitioned tables (src/db/tables/partitioned) are left out: drizzle-kit cannot express PARTITION BY,
  // so their DDL is a custom migration.
  schema: "./src/db/tables/*.ts",
  out: "./schema/migrations",
});
