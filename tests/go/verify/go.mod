module keystead/verify

go 1.24
