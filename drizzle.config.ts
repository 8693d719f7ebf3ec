import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  // Partitioned tables (src/db/partitioned.ts) are left out: drizzle-kit cannot express PARTITION BY,
  // so their DDL is a custom migration.
  schema: "./src/db/tables*.ts",
  out: "./schema/migrations",
});
