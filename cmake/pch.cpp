// SPDX-License-Identifier: Apache-2.0
// The precompiled header needs a source file to belong to.
