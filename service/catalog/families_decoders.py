"""Names in decoders: Llama, Mistral, Mixtral, Qwen, Gemma, Phi, Falcon, GPT-2, GPT-NeoX, BLOOM, OPT, DeepSeek; data.

Sources: the modelling files of transformers 5 and the original Llama and GPT-2 code.
"""

from __future__ import annotations

NAMES = {
    "query": "q_proj wq self_attn.q_a_proj self_attn.q_b_proj",
    "key": "k_proj wk attention.key",
    "value": "v_proj wv attention.value",
    "output": "o_proj self_attn.out_proj attention.wo attn.c_proj attention.dense self_attn.dense "
    "self_attention.dense attention.out_proj attn.attention.out_proj",
    "qkv": "qkv_proj query_key_value wqkv c_attn attention.qkv",
    "linear": "gate_proj up_proj down_proj gate_up_proj kv_a_proj_with_mqa kv_b_proj lm_head embed_out mlp.gate "
    "block_sparse_moe.gate experts.w feed_forward.w mlp.c_fc mlp.c_proj mlp.fc dense_h_to_4h "
    "dense_4h_to_h mlp.shared_expert_gate feed_forward.key feed_forward.value mlp.router score",
    "embedding": "wte wpe embed_tokens tok_embeddings embed_in embed_positions word_embeddings embed_tokens_per_layer",
    "rms_norm": "attention_norm ffn_norm q_a_layernorm kv_a_layernorm",
    "experts": "experts.gate_up_proj experts.down_proj experts.gate_proj experts.up_proj",
}
