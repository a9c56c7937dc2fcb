CREATE TABLE "runs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"distance_km" numeric(6, 2) NOT NULL,
	"duration_seconds" integer NOT NULL,
	"pace_per_km" integer GENERATED ALWAYS AS (round(duration_seconds / distance_km)::int) STORED NOT NULL,
	"ran_on" date NOT NULL,
	"note" text DEFAULT '' NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "runs_distance" CHECK ("runs"."distance_km" > 0),
	CONSTRAINT "runs_duration" CHECK ("runs"."duration_seconds" > 0)
);
--> statement-breakpoint
CREATE INDEX "runs_ran_on" ON "runs" USING btree ("ran_on");