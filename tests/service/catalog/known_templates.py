"""Chat templates as families of models have them: they compute much, and none of them is an attack.

Written anew after how the families format their conversations; shortened where they repeat themselves.
"""

from __future__ import annotations

LLAMA = """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim
        + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}{{- raise_exception("Only single tool-calls!") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- "<|python_tag|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' + arg_val + '"' }}{%- if not loop.last %}{{- ", " }}{%- endif %}
            {%- endfor %}{{- ")" }}
        {%- else %}
            {{- '{"name": "' + tool_call.name + '", "parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}" }}
        {%- endif %}
    {%- elif message.content is mapping or message.content is iterable %}{{- message.content | tojson }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""

QWEN_2_5 = """{%- if tools %}
    {%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- else %}{{- 'You are Qwen.' }}{%- endif %}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- tool_call.arguments | tojson }}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}"""

QWEN_3 = """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string
          and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}
    {%- endif %}
    {%- set reasoning_content = '' %}
    {%- if message.reasoning_content is string %}{%- set reasoning_content = message.reasoning_content %}
    {%- elif '</think>' in content %}
        {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}
        {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n')
        + '\\n</think>\\n\\n' + content }}
    {%- elif messages[ns.last_query_index].role == 'user' %}{{- content[:20] ~ message.content[0].type }}
    {%- endif %}
    {%- if loop.previtem and loop.previtem.role == "tool" or loop.nextitem.role %}
    {{- loop.cycle('a', 'b') }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>' }}
{%- endif %}{%- endif %}"""

QWEN_3_CODER = """{% macro render_extra_keys(json_dict, handled_keys) %}
    {%- if json_dict is mapping %}
        {%- for json_key in json_dict if json_key not in handled_keys %}
            {%- if json_dict[json_key] is mapping
            or (json_dict[json_key] is sequence and json_dict[json_key] is not string) %}
                {{- '\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | tojson | safe) ~ '</' ~ json_key ~ '>' }}
            {%- else %}
            {{-'\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | string) ~ '</' ~ json_key ~ '>' }}{%- endif %}
        {%- endfor %}
    {%- endif %}
{% endmacro %}
{%- if messages[0]["role"] == "system" %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = [] %}{%- endif %}
{%- for tool in tools %}
    {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
    {%- for param_name, param_fields in tool.parameters.properties|items %}
        {%- for json_key in param_fields %}
            {%- if json_key not in ['name', 'type', 'description'] %}
                {%- set normed_json_key = json_key | replace("-", "_") | replace(" ", "_") | replace("$", "") %}
                {%- if param_fields[json_key] is mapping %}
                    {{- '\\n<' ~ normed_json_key ~ '>' ~ (param_fields[json_key] | tojson | safe) }}
                {%- endif %}
            {%- endif %}
        {%- endfor %}
        {%- set handled_keys = ['name', 'type', 'description'] %}{{- render_extra_keys(param_fields, handled_keys) }}
    {%- endfor %}
    {{- render_extra_keys(tool, ['type', 'name', 'description', 'parameters']) }}
{%- endfor %}
{%- for message in loop_messages %}
    {%- for args_name, args_value in message.tool_calls[0].function.arguments|items %}
        {%- set args_value = args_value if args_value is string else args_value | tojson | safe %}
        {{- '<parameter=' + args_name + '>\\n' }}{{- args_value }}{{- '\\n</parameter>\\n' }}
    {%- endfor %}
{%- endfor %}"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}{%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate!") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" and (message == user_messages[-1]) %}
        {%- for tool in tools %}
            {%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}
            {%- for key, val in tool.items() if key != "return" %}
                {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}
                {%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                {%- if not loop.last %}{{- ", " }}{%- endif %}
            {%- endfor %}
        {%- endfor %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}{{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}{{- raise_exception("9!") }}{%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}{{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}{%- else %}{%- set content = message.content %}{%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
    {%- endif %}
{%- endfor %}"""

DEEPSEEK = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}
{%- for message in messages %}{%- if message['role'] == 'system' %}
    {%- if ns.is_first_sp %}{% set ns.system_prompt = ns.system_prompt + message['content'] %}
    {% set ns.is_first_sp = false %}
    {%- else %}{% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}{%- endif %}
{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}
{%- for message in messages %}
    {%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}
        {%- for tool in message['tool_calls']%}{%- if not ns.is_first %}
            {{'<｜tool▁calls▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n'
            + '```json' + '\\n'
              + tool['function']['arguments'] + '\\n' + '```' + '<｜tool▁call▁end｜>'}}
            {%- set ns.is_first = true -%}{%- endif %}{%- endfor %}
    {%- elif message['role'] == 'assistant' %}
        {% set content = message['content'] %}
        {% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{content}}
    {%- endif %}
{%- endfor -%}
{%- set last_user_index = namespace(value=-1) -%}{%- set format = namespace(value=none) -%}
{%- set all = namespace(value=[]) -%}
{%- for m in messages -%}
    {%- if m.get('tools') -%}{%- for t in m.tools -%}
        {%- set _ = all.value.append(t.function if t.get('function') else t) -%}
    {%- endfor -%}{%- endif -%}
    {%- if m.role in ["user"] -%}{%- set last_user_index.value = loop.index0 -%}{%- endif -%}
    {%- set format.value = '<' + m.role + '>' -%}
{%- endfor -%}
{%- for i in range(last_user_index.value - 1, -1, -1) -%}{{ messages[i].role }}{{ all.value[i].name }}{%- endfor -%}
{{ messages[last_user_index.value].get('content', '') }}"""

GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}{%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}{%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}{%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception("alternate") }}{%- endif -%}
    {%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}
        {%- set role = message['role'] -%}{%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is iterable -%}{%- for item in message['content'] -%}
        {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}
        {%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- endif -%}
{%- endfor -%}"""

FUNCTION_DECLARATIONS = """{%- macro parameters_of(properties, required) -%}
    {%- set standard_keys = ['description', 'type', 'properties', 'required', 'nullable'] -%}
    {%- set ns = namespace(found_first=false) -%}
    {%- for key, value in properties | dictsort -%}
        {%- if key not in standard_keys -%}
            {%- if ns.found_first %},{% endif -%}{%- set ns.found_first = true -%}{{ key }}:{
            {%- set value_type = value['type'] if value['type'] is string else value['type'][0] -%}
            {%- if value_type | upper == 'OBJECT' -%}
                {{- parameters_of(value['properties'], value['required'] | default([])) -}}
            {%- elif value['items'] is mapping -%}
                {%- for item_key, item_value in value['items'] | dictsort -%}
                    {{ item_key }}:{{ argument(item_value | map('upper') | list, escape_keys=False) }}
                {%- endfor -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro -%}
{%- macro argument(given, escape_keys=True) -%}
    {%- if given is mapping -%}{%- for key, value in given | dictsort -%}
        {{ key }}:{{- argument(value, escape_keys=escape_keys) -}}{{- argument(given[key]) -}}{%- endfor -%}
    {%- else -%}{%- for item in given -%}{{- argument(item) -}}{%- endfor -%}{%- endif -%}
{%- endmacro -%}
{%- macro strip_thinking(text) -%}{%- set ns = namespace(result='') -%}
    {%- for part in text.split('<channel|>') -%}{%- set ns.result = ns.result + part.split('<|channel>')[0] -%}
    {%- endfor -%}
    {{- ns.result | trim -}}
{%- endmacro -%}
{%- for tool in tools %}{{- parameters_of(tool['function']['parameters']['properties'], []) | trim -}}{%- endfor %}
{%- for message in messages %}{{- strip_thinking(message['content']) -}}{%- endfor %}"""

PHI = """{% for message in messages %}
{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}
{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}
{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"""

COMMAND = """{{ bos_token }}{%- macro json_to_python_type(json_spec) %}
{%- set basic_type_map = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} %}
{%- if basic_type_map[json_spec.type] is defined %}{{- basic_type_map[json_spec.type] }}
{%- elif json_spec.type == "array" %}{{- "List[" + json_to_python_type(json_spec.items) + "]"}}
{%- elif json_spec.type is iterable %}{{- "Union[" }}
    {%- for t in json_spec.type %}{{- json_to_python_type({"type": t}) }}{%- endfor %}{{- "]" }}
{%- else %}{{- "Any" }}{%- endif %}{%- endmacro %}
{%- macro old_tool_parser(tools) %}{%- for tool in tools %}
    {{- 'def ' + tool.function.name + '(' }}
    {%- for param_name, param_fields in tool.function.parameters.properties.items() %}
        {{- param_name + ': ' }}
        {%- if not param_name in tool.function.parameters.required %}
            {{- 'Optional[' + json_to_python_type(param_fields) + '] = None'}}{%- endif %}
        {{- tool.function.parameters.properties[param_name].description|default('', true) }}
    {%- endfor %}{%- endfor %}{%- endmacro %}
{%- set tool_idx = namespace(value=0) %}{%- set tool_ids_seen = namespace(value=[]) %}
{%- for message in messages %}
    {%- if message.role|lower == 'tool' and message.tool_call_id not in tool_ids_seen.value %}
        {%- for msg in messages[loop.index0 + 1:] %}
            {%- if msg.role|lower == 'tool' %}
                {%- set tool_ids_seen.value = tool_ids_seen.value + [msg.tool_call_id] %}
            {%- else %}{%- break %}{%- endif %}
        {%- endfor %}
    {%- elif message.tool_calls %}{%- for tc in message.tool_calls %}{{ tool_idx.value }}{{ tc['function']['name'] }}
        {%- set tool_idx.value = tool_idx.value + 1 %}{%- endfor %}{%- endif %}
{%- endfor %}{{ old_tool_parser(tools) }}{% for doc in documents %}{{ loop.index0 }}{{ doc|tojson }}
{%- for key, value in doc.items() %}{{ key }}: {{ value }}{{ doc[key] }}{% endfor %}{% endfor %}"""

CHATML = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system' }}{% endif %}
{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"""

ZEPHYR = """{% for message in messages %}\\n{% if message['role'] == 'user' %}\\n{{ '<|user|>\\n'
+ message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}\\n{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\\n{% endif %}
{% if loop.last and add_generation_prompt %}\\n{{ '<|assistant|>' }}\\n{% endif %}\\n{% endfor %}"""

HERMES = """{%- macro json_to_python_type(json_spec) %}
{%- set basic_type_map = {"string": "str", "number": "float"} %}
{%- if basic_type_map[json_spec.type] is defined %}{{- basic_type_map[json_spec.type] }}
{%- elif json_spec.type == "array" %}{{- "list[" + json_to_python_type(json_spec|items) + "]"}}
{%- elif json_spec.additionalProperties is defined %}
    {{- "dict[str, " + json_to_python_type(json_spec.additionalProperties) + ']'}}{%- endif %}{%- endmacro %}
{%- for tool in tools %}{%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
    {{- '"description": "' + tool.name + '(' }}
    {%- for param_name, param_fields in tool.parameters.properties|items %}
        {{- param_name + ": " + json_to_python_type(param_fields) }}{%- endfor %}
    {%- if tool.return is defined %}{{- " -> " + json_to_python_type(tool.return) }}{%- endif %}{%- endfor %}
{%- for message in messages %}{%- if message.role == "tool" and loop.previtem and loop.previtem.role != "tool" %}
    {{- '<|im_start|>' + message.role + '\\n' }}{%- endif %}
    {%- if not loop.last and loop.nextitem.role == "tool" %}{{- message.content }}{%- endif %}{%- endfor %}"""

KNOWN = {
    "Llama 3.x": LLAMA,
    "Qwen 2.5": QWEN_2_5,
    "Qwen 3": QWEN_3,
    "Qwen 3 Coder": QWEN_3_CODER,
    "Mistral with tools": MISTRAL,
    "DeepSeek R1, V3": DEEPSEEK,
    "Gemma 2, 3": GEMMA,
    "Gemma with functions": FUNCTION_DECLARATIONS,
    "Phi 3, 4": PHI,
    "Command R": COMMAND,
    "ChatML": CHATML,
    "Zephyr": ZEPHYR,
    "Hermes with tools": HERMES,
}
"""By the names of the families."""
