"""Names that llama.cpp gives the layers of every architecture; data.

Source: gguf-py/gguf/constants.py (TENSOR_NAMES).
"""

from __future__ import annotations

NAMES = {
    "query": "attn_q attn_q_a attn_q_b cross_attn_q",
    "key": "attn_k attn_k_b cross_attn_k",
    "value": "attn_v attn_v_b cross_attn_v",
    "output": "attn_output attn_out cross_attn_o attn_o",
    "qkv": "attn_qkv",
    "linear": "ffn_gate ffn_up ffn_down ffn_gate_inp ffn_gate_shexp ffn_up_shexp ffn_down_shexp ffn_gate_inp_shexp "
    "attn_kv_a_mqa attn_kv_b output cls cls.output ssm_in ssm_out ssm_x ssm_dt mm",
    "embedding": "token_embd position_embd token_types attn_rel_b per_layer_token_embd",
    "experts": "ffn_gate_exps ffn_up_exps ffn_down_exps ffn_gate_up_exps",
    "convolution": "patch_embd v.patch_embd",
    "layer_norm": "token_embd_norm",
    "rms_norm": "attn_q_norm attn_k_norm attn_norm_ ffn_norm_ post_attention_norm post_ffw_norm output_norm ssm_norm",
}
