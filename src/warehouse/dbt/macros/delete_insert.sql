{# How incremental models are built: the hook deletes, one statement inserts, both in one transaction.

dbt's own `incremental` makes a temporary table first, looks up its columns, inserts from it and drops
it, which serves columns that change and strategies that merge. Ours neither change (other SQL means a
full refresh) nor merge, and these steps cost a tenth of a second per model, more than a day's rows. #}

{% materialization delete_insert, adapter='duckdb' %}
    {{ return(whyrank_delete_insert()) }}
{% endmaterialization %}

{% materialization delete_insert, adapter='postgres' %}
    {{ return(whyrank_delete_insert()) }}
{% endmaterialization %}

{% macro whyrank_delete_insert() %}
    {% set target = this.incorporate(type='table') %}
    {% set existing = load_cached_relation(this) %}
    {% set afresh = make_intermediate_relation(target) %}
    {{ drop_relation_if_exists(load_cached_relation(afresh)) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% if is_incremental() %}
        {% call statement('main') %}
            insert into {{ target }} {{ compiled_code }}
        {% endcall %}
    {% else %}
        {% call statement('main') %}
            {{ get_create_table_as_sql(False, afresh, compiled_code) }}
        {% endcall %}
        {{ drop_relation_if_exists(existing) }}
        {% do adapter.rename_relation(afresh, target) %}
        {% do create_indexes(target) %}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmacro %}
