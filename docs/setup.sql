-- What batch inference jobs from Airflow need in an account. It may run again; nothing is replaced.
-- Change the names, run it with a role that may do all of it, then: airflow snowflake-batch doctor
USE ROLE ACCOUNTADMIN;

-- The role that owns the jobs. Containers run with its privileges, and with no secondary roles.
CREATE ROLE IF NOT EXISTS AIRFLOW_BATCH COMMENT = 'Batch inference jobs from Airflow';
GRANT ROLE AIRFLOW_BATCH TO ROLE SYSADMIN;

-- For queries, for unloading rows and for loading results.
CREATE WAREHOUSE IF NOT EXISTS AIRFLOW_WH
  WAREHOUSE_SIZE = XSMALL AUTO_SUSPEND = 60 AUTO_RESUME = TRUE INITIALLY_SUSPENDED = TRUE;
GRANT USAGE ON WAREHOUSE AIRFLOW_WH TO ROLE AIRFLOW_BATCH;

-- For the containers. AUTO_RESUME lets a job start the pool with no more than USAGE.
CREATE COMPUTE POOL IF NOT EXISTS AIRFLOW_POOL
  MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_S
  AUTO_RESUME = TRUE AUTO_SUSPEND_SECS = 300 INITIALLY_SUSPENDED = TRUE;
GRANT USAGE ON COMPUTE POOL AIRFLOW_POOL TO ROLE AIRFLOW_BATCH;
-- MONITOR shows what the pool does for others, too, OPERATE suspends and resumes it: no job needs them.
GRANT MONITOR ON COMPUTE POOL AIRFLOW_POOL TO ROLE AIRFLOW_BATCH;

-- Where jobs live.
CREATE DATABASE IF NOT EXISTS ML;
CREATE SCHEMA IF NOT EXISTS ML.BATCH;
GRANT USAGE ON DATABASE ML TO ROLE AIRFLOW_BATCH;
GRANT USAGE ON SCHEMA ML.BATCH TO ROLE AIRFLOW_BATCH;
GRANT CREATE SERVICE ON SCHEMA ML.BATCH TO ROLE AIRFLOW_BATCH;
-- For stage Parquet and other jobs' results as input; for loading results, into a new table, too.
GRANT CREATE FILE FORMAT, CREATE TABLE ON SCHEMA ML.BATCH TO ROLE AIRFLOW_BATCH;

-- Where results, and what the worker starts from, lie: an internal stage, encrypted by the server.
-- A stage's encryption cannot be changed afterwards.
CREATE STAGE IF NOT EXISTS ML.BATCH.RESULTS
  ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE') DIRECTORY = (ENABLE = TRUE);
GRANT READ ON STAGE ML.BATCH.RESULTS TO ROLE AIRFLOW_BATCH;
GRANT WRITE ON STAGE ML.BATCH.RESULTS TO ROLE AIRFLOW_BATCH;

-- As needed:
--
-- tables and stages of the input
--   GRANT SELECT ON TABLE ML.PUBLIC.CUSTOMERS TO ROLE AIRFLOW_BATCH;
--   GRANT READ ON STAGE ML.PUBLIC.IMAGES TO ROLE AIRFLOW_BATCH;
-- a registered model
--   GRANT USAGE ON MODEL ML.PUBLIC.CHURN TO ROLE AIRFLOW_BATCH;
-- one whose files the worker copies (RegistryModel)
--   GRANT READ ON MODEL ML.PUBLIC.CHURN TO ROLE AIRFLOW_BATCH;
-- an image of your own, or where Snowflake is to build a registered model's
--   GRANT READ ON IMAGE REPOSITORY ML.BATCH.IMAGES TO ROLE AIRFLOW_BATCH;
--   GRANT SERVICE READ, SERVICE WRITE ON IMAGE REPOSITORY ML.BATCH.IMAGES TO ROLE AIRFLOW_BATCH;
-- external access and secrets of the worker's containers
--   GRANT USAGE ON INTEGRATION HUB_ACCESS TO ROLE AIRFLOW_BATCH;
--   GRANT READ ON SECRET ML.BATCH.HUB_TOKEN TO ROLE AIRFLOW_BATCH;
--
-- the user that Airflow logs in as
--   CREATE USER AIRFLOW TYPE = SERVICE RSA_PUBLIC_KEY = '…' DEFAULT_ROLE = AIRFLOW_BATCH;
--   GRANT ROLE AIRFLOW_BATCH TO USER AIRFLOW;

-- What the role has now.
SHOW GRANTS TO ROLE AIRFLOW_BATCH;
