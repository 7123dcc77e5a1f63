"""More chat templates as families of models have them: those that render tools by macros, or count tools and turns.

Written anew after how the families format their conversations; shortened where they repeat themselves.
"""

from __future__ import annotations

GPT_OSS = """{%- macro render_typescript_type(param_spec, required_params, is_nullable=false) -%}
    {%- if param_spec.type == "array" -%}
        {%- if param_spec['items'] -%}
            {%- if param_spec['items']['type'] == "string" -%}{{- "string[]" }}
            {%- else -%}
                {%- set inner_type = render_typescript_type(param_spec['items'], required_params) -%}
                {%- if inner_type == "object | object" or inner_type|length > 50 -%}{{- "any[]" }}
                {%- else -%}{{- inner_type + "[]" }}{%- endif -%}
            {%- endif -%}
        {%- endif -%}
    {%- elif param_spec.type is iterable and param_spec.type is not string and param_spec.type[0] is defined -%}
        {{- param_spec.type | join(" | ") }}
    {%- elif param_spec.oneOf -%}
        {%- set has_object_variants = false -%}
        {%- for variant in param_spec.oneOf -%}
            {{- render_typescript_type(variant, required_params) -}}{%- if not loop.last %}{{- " | " }}{%- endif -%}
        {%- endfor -%}
    {%- elif param_spec.enum -%}{{- '"' + param_spec.enum|join('" | "') + '"' -}}
    {%- elif param_spec.properties -%}
        {%- for prop_name, prop_spec in param_spec.properties.items() -%}
            {{- prop_name -}}{%- if prop_name not in (param_spec.required or []) -%}{{- "?" }}{%- endif -%}
            {{ render_typescript_type(prop_spec, param_spec.required or []) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{%- macro render_tool_namespace(namespace_name, tools) -%}
    {{- "## " + namespace_name + "\\n\\n" }}{{- "namespace " + namespace_name + " {\\n\\n" }}
    {%- for tool in tools %}{%- set tool = tool.function %}
        {{- "type " + tool.name + " = (_: {\\n" }}
        {%- for param_name, param_spec in tool.parameters.properties.items() %}
            {%- if param_spec.default is defined -%}{{- "// default: " + param_spec.default|tojson }}{%- endif -%}
            {{- render_typescript_type(param_spec, tool.parameters.required or []) }}
        {%- endfor %}
    {%- endfor %}
{%- endmacro -%}
{%- macro build_system_message() -%}
    {%- if model_identity is not defined %}{%- set model_identity = "You are ChatGPT." %}{%- endif %}
    {{- model_identity + "\\n" }}{{- "Current date: " + strftime_now("%Y-%m-%d") + "\\n\\n" }}
    {%- if builtin_tools %}{%- set available_builtin_tools = namespace(browser=false, python=false) %}
        {%- for tool in builtin_tools %}{%- if tool == "browser" %}
            {%- set available_builtin_tools.browser = true %}{%- endif %}{%- endfor %}
        {{- available_builtin_tools.browser }}{%- endif %}
    {{- "# Valid channels: analysis, commentary, final." }}
{%- endmacro -%}
{{- build_system_message() }}
{%- if tools -%}{{- render_tool_namespace("functions", tools) }}{%- endif -%}
{%- set last_tool_call = namespace(name=none) %}
{%- for message in messages -%}
    {%- if "tool_calls" in message %}
        {%- set future_final_message = namespace(found=false) %}
        {%- for future_message in messages[loop.index:] %}
            {%- if future_message.role == 'assistant' and "tool_calls" not in future_message %}
                {%- set future_final_message.found = true %}{%- endif %}{%- endfor %}
        {%- set tool_call = message.tool_calls[0] %}
        {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
        {{- "<|start|>assistant to=functions." + tool_call.name + "<|channel|>commentary json<|message|>" }}
        {%- set last_tool_call.name = tool_call.name %}
    {%- elif message.role == 'tool' -%}{{- "<|start|>functions." + last_tool_call.name + message.content|tojson }}
    {%- endif -%}
{%- endfor -%}"""

SMOL_LM = """{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}
{%- if enable_thinking -%}{%- set reasoning_mode = "/think" -%}{%- else -%}
{%- set reasoning_mode = "/no_think" -%}{%- endif -%}
{%- if messages[0].role == "system" -%}
    {%- set system_message = messages[0].content -%}
    {%- if "/no_think" in system_message -%}{%- set reasoning_mode = "/no_think" -%}{%- endif -%}
    {%- set custom_instructions = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{%- set today = strftime_now("%d %B %Y") -%}{{- "Today Date: " ~ today ~ "\\n" -}}
{%- if xml_tools or python_tools or tools -%}
    {%- set ns = namespace(xml_tool_string="You may call functions:\\n\\n<tools>\\n") -%}
    {%- for tool in xml_tools[:] -%}
        {%- set ns.xml_tool_string = ns.xml_tool_string ~ (tool | string) ~ "\\n" -%}{%- endfor -%}
    {{- ns.xml_tool_string + "</tools>" -}}
{%- endif -%}
{%- for message in messages -%}
    {%- set content = message.content if message.content is string else "" -%}
    {%- if message.role == "assistant" -%}
        {%- generation -%}
        {{ "<|im_start|>" + message.role + "\\n" + content.lstrip("\\n") + "<|im_end|>\\n" }}{%- endgeneration -%}
    {%- endif -%}
{%- endfor -%}"""

GRANITE = """{%- set tools_system_message_prefix = 'You have access to tools.' %}
{%- set g4_default_system_message = 'You are Granite.' %}
{%- set ns = namespace(tools_json='', documents_json='') %}
{%- for tool in tools %}{%- set ns.tools_json = ns.tools_json + '\\n' + (tool | tojson) %}{%- endfor %}
{%- if documents and controls and 'citations' in controls and controls['citations'] %}
    {%- for document in documents %}{{- 'Document ' + (document['doc_id'] | string) + '\\n' + document['text'] }}
    {%- endfor %}{%- endif %}
{%- if controls and 'length' in controls and controls['length'] is string %}{{- controls | tojson()}}{%- endif %}
{%- for message in messages %}
    {%- set content = namespace(val='') %}
    {%- if message.content is string %}{%- set content.val = message.content %}
    {%- else %}{%- for entry in message.content %}
        {%- if entry.type == 'text' %}{%- if content.val != '' %}{%- set content.val = content.val + '\\n' %}
        {%- endif %}
            {%- set content.val = content.val + entry.text %}{%- endif %}{%- endfor %}{%- endif %}
    {%- if (loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool') %}{{- content.val }}{%- endif %}
{%- endfor %}"""

KIMI = """{%- macro open_tag(tag, attrs=[]) -%}{{- '<|open|>' + tag -}}
{%- for attr in attrs -%}{{- ' ' + attr[0] + '="' -}}{{- attr[1]|string|replace('&', '&amp;') -}}{%- endfor -%}
{%- endmacro -%}
{%- macro next_image(state) -%}{%- if image_prompts is defined -%}{{- image_prompts[state.image_index] -}}
{%- set state.image_index = state.image_index + 1 -%}{%- endif -%}{%- endmacro -%}
{%- macro tool_message(message, state, name=none) -%}{%- set state.tool_index = state.tool_index + 1 -%}
{%- set call = state.tool_calls[state.tool_index - 1] -%}
{{- open_tag('message', [('role', 'tool'), ('tool', call.function.name), ('index', state.tool_index)]) -}}
{%- endmacro -%}
{%- set state = namespace(image_index=0, tool_calls=none, tool_index=0) -%}
{%- if thinking_effort is undefined -%}{%- set thinking_effort = 'max' -%}{%- endif -%}
{%- for message in messages -%}
{%- set attrs = [('role', 'user')] -%}
{%- if message.get('name') -%}{%- set attrs = attrs + [('name', message.name)] -%}
{%- endif -%}{{- open_tag('message', attrs) -}}
{%- set state.tool_calls = message.get('tool_calls') -%}{{- tool_message(message, state) -}}{{- next_image(state) -}}
{%- set run = namespace(tool_messages=[]) -%}
{%- for candidate in messages[loop.index0:] -%}
{%- set run.tool_messages = run.tool_messages + [candidate] -%}
{%- set call_id = candidate.get('tool_call_id', candidate.get('id')) -%}{%- endfor -%}
{%- for one in run.tool_messages -%}{{- one.role -}}{{- one.get('_xtml_json_block') -}}{%- endfor -%}{%- endfor -%}"""

SEED = """{%- set bos_token = '<seed:bos>' -%}{%- set budgets = {0: 0, 512: 128, 16384: 1024} -%}
{%- if not thinking_budget is defined %}{%- set thinking_budget = -1 -%}{%- endif -%}
{%- set ns = namespace(interval = None) -%}
{%- for k, v in budgets | dictsort -%}
    {%- if ns.interval is none and thinking_budget <= k -%}{%- set ns.interval = v -%}{%- endif -%}{%- endfor -%}
{%- if ns.interval is none -%}{%- set ns.interval = budgets[16384] -%}{%- endif -%}{{ budgets[ns.interval] }}
{%- for item in tools if item.type == "function" %}
{%- for name, spec in item.function.parameters.properties.items() %}- {{ name }} ({{ " " ~ (spec.description or "") }})
{%- endfor %}{%- endfor %}
{%- for message in messages %}{{ bos_token + message.role + "\\n" + message.content }}{%- endfor %}"""

GLM = """[gMASK]<sop>{%- macro visible_text(content) -%}
    {%- if content is string -%}{{- content }}{%- elif content is iterable and content is not mapping -%}
        {%- for item in content -%}{%- if item is mapping and item.type == 'text' -%}{{- item.text }}
        {%- elif item is string -%}{{- item }}{%- endif -%}{%- endfor -%}{%- endif -%}{%- endmacro -%}
{%- set ns = namespace(last_user_index=-1) %}
{%- for m in messages %}{%- if m.role == 'user' %}{% set ns.last_user_index = loop.index0 -%}{%- endif %}{%- endfor %}
{% for m in messages %}{%- if m.role == 'assistant' -%}
{%- set content = visible_text(m.content) %}{%- set reasoning_content = '' %}
{%- if '</think>' in content %}
    {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
    {%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
{%- for tc in m.tool_calls %}{%- if tc.function %}{%- set tc = tc.function %}{%- endif %}{% set _args = tc.arguments %}
{% for k, v in _args.items() %}<arg_key>{{ k }}</arg_key>{{ v | tojson(ensure_ascii=False) if v is not string else v }}
{% endfor %}{% endfor %}{%- elif loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|observation|>' }}
{%- endif -%}{%- endfor -%}"""

MORE = {
    "gpt-oss": GPT_OSS,
    "SmolLM 3": SMOL_LM,
    "Granite": GRANITE,
    "Kimi": KIMI,
    "Seed": SEED,
    "GLM": GLM,
}
"""By the names of the families."""
