"""Two models for llama.cpp, written into a folder. Argument: the folder.

Nobody trained them: each is a chain from one token to the next, "a small answer" or "a large answer".
"""

import sys

import gguf
import numpy

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPECIAL = ["<unk>", "<s>", "</s>"]
END = SPECIAL.index("</s>")
# Room for each token's own direction, and the layers' blocks of 32.
WIDTH = 288


def kind(token):
    if token in SPECIAL:
        return gguf.TokenType.UNKNOWN if token == "<unk>" else gguf.TokenType.CONTROL
    return gguf.TokenType.BYTE if token in BYTES else gguf.TokenType.NORMAL


def chain(words):
    """The matrix from a token to its follower: the first word follows whatever is no word, the end follows the last."""
    first = len(SPECIAL) + len(BYTES)
    followers = [first] * first + [*range(first + 1, first + len(words)), END]
    matrix = numpy.zeros((len(followers), WIDTH), dtype=numpy.float32)
    for token, follower in enumerate(followers):
        matrix[follower, token] = 4
    return matrix


def write(folder, name, words):
    tokens = SPECIAL + BYTES + words
    model = gguf.GGUFWriter(f"{folder}/{name}.gguf", "llama")
    model.add_context_length(512)
    model.add_embedding_length(WIDTH)
    model.add_block_count(1)
    model.add_feed_forward_length(32)
    model.add_head_count(2)
    model.add_rope_dimension_count(WIDTH // 2)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_tokenizer_model("llama")
    model.add_token_list(tokens)
    model.add_token_scores([0.0] * len(tokens))
    model.add_token_types([kind(token) for token in tokens])
    model.add_bos_token_id(SPECIAL.index("<s>"))
    model.add_eos_token_id(END)
    model.add_chat_template("{% for message in messages %}{{ message['content'] }}\n{% endfor %}")
    ones = numpy.ones(WIDTH, dtype=numpy.float32)
    square = numpy.zeros((WIDTH, WIDTH), dtype=numpy.float32)
    tall = numpy.zeros((32, WIDTH), dtype=numpy.float32)
    model.add_tensor("token_embd.weight", numpy.eye(len(tokens), WIDTH, dtype=numpy.float32))
    model.add_tensor("output_norm.weight", ones)
    model.add_tensor("output.weight", chain(words))
    # The layer adds nothing: only the last token counts.
    for norm in ("attn_norm", "ffn_norm"):
        model.add_tensor(f"blk.0.{norm}.weight", ones)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        model.add_tensor(f"blk.0.{part}.weight", square)
    for part in ("ffn_gate", "ffn_up"):
        model.add_tensor(f"blk.0.{part}.weight", tall)
    model.add_tensor("blk.0.ffn_down.weight", numpy.ascontiguousarray(tall.T))
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


def write_all(folder):
    for name in ("small", "large"):
        write(folder, name, ["a", f"▁{name}", "▁answer"])


if __name__ == "__main__":
    write_all(sys.argv[1])
