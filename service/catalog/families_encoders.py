"""Names in encoders and encoder-decoders: BERT, RoBERTa, DistilBERT, ALBERT, ModernBERT, T5, BART, Whisper; data.

Sources: the modelling files of transformers 5.
"""

from __future__ import annotations

NAMES = {
    "query": "attention.self.query attention.query query_proj q_lin selfattention.q encdecattention.q self.query "
    "attention.attention.query",
    "key": "attention.self.key key_proj k_lin selfattention.k encdecattention.k self.key attention.attention.key",
    "value": "attention.self.value value_proj v_lin selfattention.v encdecattention.v self.value "
    "attention.attention.value",
    "output": "attention.output.dense out_lin selfattention.o encdecattention.o encoder_attn.out_proj attn.wo",
    "qkv": "attn.wqkv",
    "linear": "intermediate.dense output.dense ffn.lin densereludense.wi densereludense.wo pooler.dense "
    "vocab_projector "
    "vocab_transform embedding_hidden_mapping_in mlp.wi mlp.wo",
    "embedding": "relative_attention_bias token_type_embeddings position_embeddings shared embeddings.word_embeddings",
    "rms_norm": "selfattention.layer_norm layer.layer_norm",
    "layer_norm": "sa_layer_norm output_layer_norm mlp_norm embeddings.norm",
}
