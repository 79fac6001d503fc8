{# As dbt's own, which knows `incremental` alone: true for `delete_insert` as well, and by the same rules. #}

{% macro is_incremental() %}
    {%- if not execute -%}
        {{ return(False) }}
    {%- endif -%}
    {%- set relation = adapter.get_relation(this.database, this.schema, this.table) -%}
    {{ return(
        relation is not none
        and relation.type == 'table'
        and model.config.materialized in ['incremental', 'delete_insert']
        and not should_full_refresh()
    ) }}
{% endmacro %}
