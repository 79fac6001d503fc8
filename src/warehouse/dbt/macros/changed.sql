{# What came after the last build (see changes.py), or a value that stands for everything.

It comes through the environment and is asked for only when a model runs: dbt's own variables (--vars)
are part of what it parsed, and other ones have it parse the whole project again, a second of each
build. #}

{% macro changed(name, default) %}
    {%- if execute -%}
        {{ return(env_var('WHYRANK_' ~ name | upper, default | string)) }}
    {%- else -%}
        {{ return(default) }}
    {%- endif -%}
{% endmacro %}
