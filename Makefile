# What can be done here. Each line is one script; run it directly if you like.
help:
	@echo "make demo    the lab: three sites, one archive, the scenarios over real SIP and RTP"
	@echo "make test    installs, builds and tests (make deep: the long ones too)"
	@echo "make bench   measurements, each beside a peer or a bare limit"
	@echo "make format  clang-format over the sources"
demo:
	scripts/demo
test:
	scripts/test
deep:
	scripts/test --deep
bench:
	scripts/bench
format:
	git ls-files 'src/*.h' 'src/*.cpp' 'fuzz/*.cpp' 'tests/*.cpp' | xargs clang-format-19 -i
.PHONY: help demo test deep bench format
