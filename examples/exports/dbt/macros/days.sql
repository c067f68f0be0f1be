{#- The first day that is not exported: today, which is not over yet, unless a variable says another.
    Bounds are literals in UTC, so that every warehouse can skip what lies outside of them. -#}
{% macro midnight_before(days) -%}
  {%- set zone = modules.pytz.timezone(var('time_zone')) -%}
  {%- set today = run_started_at.astimezone(zone).strftime('%Y-%m-%d') -%}
  {%- set end_day = modules.datetime.datetime.strptime(var('end_day', today), '%Y-%m-%d') -%}
  {%- set midnight = zone.localize(end_day - modules.datetime.timedelta(days=days)) -%}
  {{ instant(midnight.astimezone(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S')) }}
{%- endmacro %}

{% macro begin_at() %}{{ midnight_before(var('days')) }}{% endmacro %}
{% macro end_at() %}{{ midnight_before(0) }}{% endmacro %}

{#- An instant of UTC as the columns' type. Redshift's columns are TIMESTAMP, in UTC; Snowflake's
    session must have TIMEZONE = 'UTC', Databricks' likewise. -#}
{% macro instant(utc) %}{{ return(adapter.dispatch('instant')(utc)) }}{% endmacro %}
{% macro default__instant(utc) %}TIMESTAMPTZ '{{ utc }}+00:00'{% endmacro %}
{% macro snowflake__instant(utc) %}CAST('{{ utc }} +0000' AS TIMESTAMP_TZ){% endmacro %}
{% macro bigquery__instant(utc) %}TIMESTAMP '{{ utc }}+00:00'{% endmacro %}
{% macro redshift__instant(utc) %}TIMESTAMP '{{ utc }}'{% endmacro %}
{% macro databricks__instant(utc) %}TIMESTAMP '{{ utc }}Z'{% endmacro %}

{#- The calendar day of an instant. -#}
{% macro local_day(at) %}{{ return(adapter.dispatch('local_day')(at)) }}{% endmacro %}
{% macro default__local_day(at) %}CAST({{ at }} AT TIME ZONE '{{ var('time_zone') }}' AS DATE){% endmacro %}
{% macro snowflake__local_day(at) %}CAST(CONVERT_TIMEZONE('{{ var('time_zone') }}', {{ at }}) AS DATE){% endmacro %}
{% macro bigquery__local_day(at) %}DATE({{ at }}, '{{ var('time_zone') }}'){% endmacro %}
{% macro redshift__local_day(at) %}CAST(CONVERT_TIMEZONE('UTC', '{{ var('time_zone') }}', {{ at }}) AS DATE){% endmacro %}
{% macro databricks__local_day(at) %}CAST(FROM_UTC_TIMESTAMP({{ at }}, '{{ var('time_zone') }}') AS DATE){% endmacro %}

{#- When a visitor's events cease to count. (dbt.dateadd makes a DATETIME of it in BigQuery, which is
    not compared with a TIMESTAMP.) -#}
{% macro window_end(at) %}{{ return(adapter.dispatch('window_end')(at)) }}{% endmacro %}
{% macro default__window_end(at) %}{{ at }} + INTERVAL '{{ var('window_hours') }} hours'{% endmacro %}
{% macro snowflake__window_end(at) %}DATEADD(HOUR, {{ var('window_hours') }}, {{ at }}){% endmacro %}
{% macro bigquery__window_end(at) %}TIMESTAMP_ADD({{ at }}, INTERVAL {{ var('window_hours') }} HOUR){% endmacro %}
{% macro redshift__window_end(at) %}DATEADD(HOUR, {{ var('window_hours') }}, {{ at }}){% endmacro %}
{% macro databricks__window_end(at) %}TIMESTAMPADD(HOUR, {{ var('window_hours') }}, {{ at }}){% endmacro %}

{#- Midnight UTC of a calendar day, in seconds. -#}
{% macro midnight_utc(day) %}{{ return(adapter.dispatch('midnight_utc')(day)) }}{% endmacro %}
{% macro default__midnight_utc(day) %}CAST(EXTRACT(EPOCH FROM {{ day }}) AS BIGINT){% endmacro %}
{% macro snowflake__midnight_utc(day) %}DATE_PART(EPOCH_SECOND, CAST({{ day }} AS TIMESTAMP_NTZ)){% endmacro %}
{% macro bigquery__midnight_utc(day) %}UNIX_SECONDS(TIMESTAMP({{ day }})){% endmacro %}
{% macro databricks__midnight_utc(day) %}CAST(UNIX_DATE({{ day }}) AS BIGINT) * 86400{% endmacro %}

{#- Decimals, not floats: 20.98 squared is 440.1604 and nothing else. -#}
{% macro money() %}{{ return(adapter.dispatch('money')()) }}{% endmacro %}
{% macro default__money() %}DECIMAL(18, 2){% endmacro %}
{% macro bigquery__money() %}NUMERIC{% endmacro %}
